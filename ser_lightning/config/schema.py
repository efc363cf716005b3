"""The typed configuration: what every run has, whatever its corpus, features, split and model."""

from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from ser_lightning.config.signature import Parameter


@dataclass
class SpecAugment:
    """Masks on training spectrograms (Park et al., Interspeech 2019); counts of 0 switch it off."""

    time_masks: int = 0
    """Masks along time an utterance."""
    time_fraction: float = 0.1
    """Longest time mask, as a share of the utterance's frames."""
    mel_masks: int = 0
    """Masks along the mel axis an utterance."""
    mel_fraction: float = 0.2
    """Widest mel mask, as a share of the mel bands."""


@dataclass
class Waveform:
    """Augmented variants of the training recordings, which join the training part; 0 copies switch it off."""

    copies: int = 0
    """Variants of each training utterance beside the utterance itself."""
    speeds: list[float] = field(default_factory=lambda: [0.9, 1.1])
    """The k-th variant plays the k-th time as fast (in hundredths, pitch moves along), then round again; []: none."""
    snr: list[float] = field(default_factory=lambda: [10.0, 30.0])
    """Least and greatest signal-to-noise ratio (dB) of white noise that is added; []: none."""
    seed: int = 0
    """Seed of the noise, apart from the training's: variants are stored, and shared by trainings."""


@dataclass
class Training:
    """Optimisation. Names shared with Lightning's Trainer mean what they mean there, or say where not."""

    learner: str = "lightning"
    """What fits: lightning trains a network, classical fits a support vector machine."""
    max_epochs: int = 40
    """Epochs at the most."""
    batch_size: int = 32
    """Utterances a step and rank."""
    batches: Literal["similar", "random"] = "similar"
    """What is trained on together: utterances of similar length, which need little padding, or any (random)."""
    max_frames: int | None = 120_000
    """Frames a batch and rank at the most: utterances x the longest, in the stream with most frames (20 minutes of
    frames each 10 ms). A batch of more is divided; a longer utterance is a batch of its own; null: no bound."""
    limit_train_batches: float | None = None
    """Batches an epoch: a whole number counts them (1 and 1.0 are one batch), less than 1 is a share; null: all."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Adam and AdamW with torch's default betas, SGD with momentum 0.9."""
    learning_rate: float = 1e-3
    """Step size at the start."""
    weight_decay: float = 0.0
    """L2 penalty (decoupled with adamw)."""
    schedule: Literal["constant", "cosine", "steps"] = "constant"
    """Learning rate over epochs: cosine falls to 0 at max_epochs, steps multiplies by `gamma` at `milestones`."""
    milestones: list[int] = field(default_factory=list)
    """Epochs at which schedule=steps multiplies the learning rate."""
    gamma: float = 0.5
    """Factor of schedule=steps."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: each class weighs N / (K * count) in the loss, counted on the training part."""
    sampler: Literal["all", "balanced"] = "all"
    """What an epoch holds: every training utterance once, or equally many of each class (as many in all)."""
    loss: dict[str, Any] = field(default_factory=lambda: {"name": "cross_entropy"})
    """`name` (cross_entropy, focal) and that loss's own parameters; each head of a model has the same."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes (Szegedy et al., CVPR 2016)."""
    spec_augment: SpecAugment = field(default_factory=SpecAugment)
    """Masks on the streams of log-mel extractors, in training only."""
    waveform: Waveform = field(default_factory=Waveform)
    """Noisier, faster and slower variants of the training recordings."""
    mixup: float = 0.0
    """Alpha of mixup's Beta(alpha, alpha) (Zhang et al., ICLR 2018), in training only; 0 switches it off."""
    precision: Literal["32", "16-mixed", "bf16-mixed"] = "32"
    """Lightning's precision."""
    gradient_clip_val: float | None = None
    """Largest gradient norm; null: no clipping."""
    accumulate_grad_batches: int = 1
    """Batches an optimiser step."""
    patience: int | None = None
    """Epochs without a better validation UAR before the training stops; null: never."""
    keep_epochs: bool = False
    """Keep the weights of every epoch until the test part is scored: what the figure selected on test needs."""
    devices: int = 1
    """Ranks a node: processes that share the training, each on its own device (on a CPU, on a share of the cores)."""
    num_nodes: int = 1
    """Nodes that share the training, with `devices` ranks each, which srun starts."""
    scale_learning_rate: Literal["none", "sqrt", "linear"] = "none"
    """An optimiser step sees batch_size * accumulate_grad_batches utterances of every rank; the rate is multiplied by
    the number of ranks, its root, or not at all."""
    sync_batchnorm: bool = False
    """Batch norms take their statistics over all ranks; else over a rank's own batch."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto takes a GPU where torch sees one and says which; a named one that is missing is an error."""
    keep_on_device: Literal["auto", "yes", "no"] = "auto"
    """Where features live: on the device when they fit (auto), always, or memory-mapped and sent a batch at a time."""
    num_workers: int = 0
    """Processes that read batches when features are not kept on the device; 0 reads them in between steps, from the
    memory map, which costs less than fetching them from another process. More pay on slow shared disks only."""

    @property
    def ranks(self) -> int:
        """Processes of the process group, over all nodes."""
        return self.devices * self.num_nodes


@dataclass
class Tracking:
    """Weights & Biases, and loggers beside it."""

    mode: Literal["offline", "online", "off"] = "offline"
    """offline writes into the run folder for a later sync; online needs a key; off logs nothing to W&B."""
    project: str = "ser-lightning"
    """W&B project: a family of experiments."""
    entity: str | None = None
    """W&B team or user; null: the key's own."""
    group: str | None = None
    """Runs shown together; null: the experiment."""
    name: str | None = None
    """Display name; null: model, corpus and seed."""
    job_type: str = "train"
    """What the run is for; a cross-validation says fold."""
    tags: list[str] = field(default_factory=list)
    """Tags beside those that say corpus, model and protocol."""
    also: list[Literal["tensorboard", "csv"]] = field(default_factory=list)
    """Other loggers of every epoch, in the run's folder: tensorboard writes its event files, csv Lightning's table."""
    utterances: int = 2000
    """Rows at most of a scored part's table of utterances, the wrong ones first; 0: no such table."""
    audio: int = 0
    """Of the most confidently wrong utterances of a scored part so many are uploaded as sound and spectrogram. Many
    corpora's licences forbid to pass recordings on."""
    artifacts: Literal["none", "references", "files"] = "references"
    """The kept weights as an artifact, made from that of corpus and features: references names their place and digest,
    files uploads them, too."""
    private: bool = False
    """Host name, command line, packages, git remote and commit, hardware, its load and the console output stay here."""


@dataclass
class Config:
    """One training, resolved. `corpus`, `split` and `model` hold `name` and that component's own parameters."""

    corpus: dict[str, Any]
    features: dict[str, dict[str, Any]]
    """Streams by name: `extractor`, its parameters, `frames` and `normalise`."""
    split: dict[str, Any]
    model: dict[str, Any]
    training: Training
    tracking: Tracking
    experiment: str | None = None
    """The experiment that the configuration started from."""
    seed: int = 0
    """Seed of initial weights, batch order, dropout and augmentation; splits have their own."""
    runs_dir: str = "runs"
    """Folder of the run folders."""
    cache_dir: str = ".ser_cache"
    """Folder of the feature store and the audio digests; may be shared by many runs, processes and nodes."""
    scratch_dir: str | None = None
    """Folder on each node's own disk that the features a training reads are first copied to, such as $SLURM_TMPDIR
    (variables are those of the node); clearing it is the cluster's. null: they are read from cache_dir."""
    pictures: bool = True
    """Draw learning curves and confusion matrices; of thousands of trials only some are looked at."""
    extraction_workers: int = 1
    """Processes that compute missing features; the numbers do not depend on it."""


NAMED = (Parameter("name", str, MISSING, "Which one."),)
"""What the settings of a corpus, a split and a model share."""

LOSS = (Parameter("name", str, "cross_entropy", "Which one."),)
"""What the settings of every loss have."""

STREAM = (
    Parameter("extractor", str, MISSING, "What computes the frames."),
    Parameter("frames", int | None, None, "Frames every utterance is resampled to (nearest); null: padded."),
    Parameter(
        "normalise",
        Literal["none", "global", "speaker", "utterance"],
        "global",
        "Zero mean and unit variance a dimension: over the training speakers (global), the speaker's own utterances of "
        "the part (speaker; marks every result transductive), or an utterance.",
    ),
)
"""What the settings of a stream share, whatever its extractor."""
