"""The same cell over a grid and seeds: the only place that vmaps, chunks, shards, saves and shows progress.

## Large sweeps

Ask first, watch it, and go on after anything:

```sh
mtlsim estimate map.toml --workers 10 100          # size, compile time, time and memory of batches run on the spot
mtlsim sweep map.toml --out map.nc                 # killed, full disk, power cut: the same command goes on
mtlsim status map.nc                               # chunks, who works on it, rate, undecided cells, bad statuses
```

All local devices are used: one host device for each core, or the GPUs. Batches are cut where the memory that the compiler reports
for a program is more than half of what is free; programs are kept between runs, by jax version and processor. No number depends on
devices, chunks or who ran them, up to rounding (tested on 1, 2 and 8 devices).

Each chunk is a whole file, written under another name and renamed. On a cluster with a shared folder any number of processes work
on one sweep; with Slurm:

```sh
#!/bin/bash
#SBATCH --array=1-100 --cpus-per-task=4 --time=08:00:00
mtlsim sweep map.toml --out /shared/map.nc --shard $SLURM_ARRAY_TASK_ID/100
```

Afterwards `mtlsim sweep map.toml --out /shared/map.nc` runs what is missing and joins all; `mtlsim merge` joins folders of several
machines, or names the missing chunks. With [dask](https://distributed.dask.org) (`pip install 'mtlsim[dask]'`), workers need no
shared folder: start `dask scheduler`, and on each machine `dask worker ADDRESS --nworkers 16 --nthreads 1` (a worker uses as many
host devices as it has threads, or its GPU), then `mtlsim sweep map.toml --executor dask --scheduler ADDRESS`. Workers of other
versions or another kind of device are refused. From Python any executor of `concurrent.futures` whose workers start anew will do.
Killed workers, lost, doubled and late chunks, a scheduler that restarts, a disk that is full: tests/test_remote.py injects each of
these, and the sweep ends with the same numbers or names the chunks that are missing.

`mtl.sweep(..., keep="cells")`, or `keep = "cells"` in `[sweep]`, keeps of each cell the mean gain with its interval and sign, means
and errors of all else, and how often each status came: a map of 10^6 cells is 0.15 GiB, however many seeds it has, where all its
draws at 1000 seeds would be 37 GiB. A result that memory cannot hold is refused before anything is run.

- **Versions.** A sweep begun under another jax or numpy goes on with `--accept-versions`, as `mtlsim merge` then joins its
  shards; the result says so.
- **Progress** is a bar on a terminal and a line a minute in a log; `--quiet` prints none.
"""
