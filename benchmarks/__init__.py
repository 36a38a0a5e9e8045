"""What the losses cost: compiled for accelerators that are not there, and timed where there is
one."""
