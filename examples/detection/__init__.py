"""Handwritten digits on photographs, to be found by a dense detector: all that knows no framework.

scenes      the pictures and the digits on them
anchors     the boxes that every place of a feature map answers for, and what they are to answer
recipe      losses, sizes and steps: what both frameworks have in common
network     the convolutions, and the weights that training starts from
evaluate    boxes from logits, and their average precision
found       which digits are found, and where two detectors differ
results     what is kept of a training
table       the table of the page, and curves, in `curves`
pictures    what is drawn of the scenes
command     the command line of both scripts
"""
