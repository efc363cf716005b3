"""The run folder and its life: what a training leaves behind, and the verbs that make and score one."""
