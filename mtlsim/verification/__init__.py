"""Statements against simulation: random instances inside, on the edge of and outside their assumptions, and a verdict by a rule.

`mtlsim verify` tests statements against simulation on random instances: inside their assumptions, on the edge, and outside, where
they may break. Its verdict is confirmed, refuted, vacuous (a bound that says nothing where it applies), not applicable (its
assumptions hold on no draw) or undecided. A statement is confirmed only if the formulas 10 % too low and 10 % too high are refuted
by the same draws, for every quantity; limits are tested at two sizes, signs at 0.9 and 1.1 of their threshold. While undecided,
draws are doubled; all looks and statements share an error of .001, which is printed, and what a text says, what it proves and what
is inferred from it stand apart. `mtlsim list` names all statements, `mtlsim verify --fast` takes some minutes for all of them.
`python tests/benchmarks/verdicts.py` repeats it over seeds; `python tests/benchmarks/rank_two.py` holds rank 2 against brute force;
`mtlsim verify NAME --holes 200` (all of them: `python tests/benchmarks/holes.py`) searches random cells inside a statement's
assumptions for ones where it is false (finding none in a few dozen cells is no proof). What was found stands in
`notebooks/README.md`.

`mtlsim counterexample NAME --over tasks.noise[0]=0.1:10` (`mtl.search_counterexample`) scans ranges that you give, then climbs to
the instance that violates a statement most, says how many climbs agree, and saves it as a file that reproduces. Finding nothing
is no evidence.
"""
