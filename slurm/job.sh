# Sourced by every script, from the folder that the job was submitted from.
if [ -f slurm/site.sh ]; then . slurm/site.sh; fi
# Where sbatch passes no environment on (SBATCH_EXPORT=NONE, some sites' default), srun would pass on none, either.
export SLURM_EXPORT_ENV=ALL
# Without cgroups nothing else keeps a process to its cores; and srun does not pass --cpus-per-task on.
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
