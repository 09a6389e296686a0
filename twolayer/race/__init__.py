"""The race: how fast each way of computing the iteration is, here, and whether it is right.

All contenders train the same data with the same dtype and thread count. They are timed in rounds
(`timing`), compared with the formulas in float64 (`agreement`), and set under the machine's own
ceilings (`roofline`); the `verdict` says in words what the figures allow to say.
"""
