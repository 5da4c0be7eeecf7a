"""What is true: recipes of tasks, the covariances of their rows, and how those of a source relate to the target's.

**The paper's printed generator does not rotate.** It writes X = R Q D with Gaussian R; R Q has the law of R, so Q cancels and
the rows have covariance D^2. `relation="rotated"` draws X = R D Q'; `order="rqd"` gives the printed form.
"""
