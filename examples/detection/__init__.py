"""Handwritten digits on photographs, to be found by a dense detector: all that knows no framework.

scenes      the pictures and the digits on them
anchors     the boxes that every place of a feature map answers for, and what they are to answer
recipe      losses, sizes, initial weights: what both frameworks have in common
evaluate    boxes from logits, and their average precision
pictures    what is drawn
command     the command line of both scripts
"""
