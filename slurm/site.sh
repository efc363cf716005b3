# The one file to edit. Source it after login, before `sbatch` or `ser submit`; every job sources it again.

# What sbatch takes for options (man sbatch, "INPUT ENVIRONMENT VARIABLES"). An option on sbatch's command line wins over
# these, and these over a script's #SBATCH lines; for what is not set here the cluster's defaults hold.
# export SBATCH_ACCOUNT=my_project
# export SBATCH_PARTITION=gpu
# export SBATCH_QOS=normal
# export SBATCH_TIMELIMIT=8:00:00
# export SBATCH_MEM_PER_NODE=32G

# The environment in which `ser` is found.
# module load python
. .venv/bin/activate
