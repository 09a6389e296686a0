"""The race: how fast each way of computing the iteration is on this machine, and whether it is right.

All contenders train the same data with the same dtype and thread count. They are timed in rounds
(`timing`), compared with the formulas in float64 (`agreement`) and with the machine's limits (`roofline`);
the `verdict` puts the result in words.
"""
