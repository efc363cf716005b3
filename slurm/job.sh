# Sourced by every script, from the folder that the job was submitted from.
if [ -f slurm/site.sh ]; then . slurm/site.sh; fi
# Without cgroups nothing else keeps a process to its cores; and srun does not pass --cpus-per-task on.
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
