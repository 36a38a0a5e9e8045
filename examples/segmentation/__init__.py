"""Handwriting on photographs, to be found pixel by pixel: all that knows no framework.

scenes      the pictures and the strokes on them
recipe      losses, sizes, initial weights: what both frameworks have in common
scores      the intersection over the union, and the threshold it is measured at
pictures    what is drawn
command     the command line of both scripts
"""
