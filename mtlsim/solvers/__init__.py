"""The optimal shared layer: exact routes first; each answer says which route was taken and how certain it is."""

from mtlsim.solvers.single import solve_single as solve_single
from mtlsim.solvers.solution import Solution as Solution
from mtlsim.solvers.solve import solve as solve
