"""Packs as the tasks of Slurm job arrays: an array task is one allocation, in which lanes run its packs.

Slurm queues, limits, preempts and requeues; here are the files that its tasks read and write, and the four of its
commands that it takes (sbatch, squeue, scontrol, scancel). Accounting (sacct) is not needed.
"""
