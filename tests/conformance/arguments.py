"""The arguments that an entry of Keras is tried with: those that it needs, and other values than its defaults.

Values are nodes of a config: numbers, texts, lists, and mappings with a ``_target_``. Most follow from the signature.
A table says what cannot: add to it where the suite says that Keras has grown an argument.
"""

from __future__ import annotations

import inspect
from typing import Any

from conformance.exports import Entry, parameters

Node = dict[str, Any]

LAYER, CELL = {"_target_": "keras.layers.Dense", "units": 3}, {"_target_": "keras.layers.GRUCell", "units": 3}
_DOUBLED = {"_target_": "hydra.utils.get_method", "path": "conformance.networks.doubled"}
_SHIFTED = {"_target_": "hydra.utils.get_method", "path": "conformance.networks.shifted"}
_LSTM = {"_target_": "keras.layers.LSTM", "units": 3}
_SGD = {"_target_": "keras.optimizers.SGD", "learning_rate": 0.1, "momentum": 0.9}

NEEDED: dict[str, Any] = {
    "activation": "tanh", "axes": -1, "cell": CELL, "cells": [CELL, CELL], "dims": [2, 1],
    "equation": "abc,cd->abd", "factor": 0.4, "filters": 2, "function": _DOUBLED, "head_dim": 3, "height": 6,
    "height_factor": 0.3, "input_dim": 16, "key_dim": 3, "kernel_size": 2, "layer": LAYER, "layers": [LAYER, LAYER],
    "n": 3, "num_bins": 5, "num_heads": 2, "num_key_value_heads": 1, "num_query_heads": 2, "output_dim": 3,
    "output_shape": [8, 3], "output_size": 2, "pool_size": 2, "rate": 0.4, "scale": 0.5, "stddev": 0.3,
    "target_shape": [4, -1], "units": 3, "width": 6, "width_factor": 0.3,
    "decay_rate": 0.5, "decay_steps": 10, "first_decay_steps": 5, "boundaries": [3, 8], "values": [0.2, 0.1, 0.05],
    "inner_optimizer": _SGD, "threshold": 0.5, "default_value": 0.1,
}  # fmt: skip
"""Values of arguments that have no default, by the argument's name."""

NEEDED_BY: dict[str, Node] = {
    "layers.Bidirectional": {"layer": _LSTM},
    "layers.CategoryEncoding": {"num_tokens": 16},
    "layers.Discretization": {"bin_boundaries": [3.5, 7.5]},
    "layers.Dot": {"axes": [2, 2]},
    "layers.dot": {"axes": [2, 2]},
    "layers.GroupNormalization": {"groups": 2},
    "layers.IntegerLookup": {"vocabulary": [1, 2, 3, 5, 8]},
    "layers.JaxLayer": {
        "call_fn": {"_target_": "hydra.utils.get_method", "path": "conformance.networks.jax_dense"},
        "init_fn": {"_target_": "hydra.utils.get_method", "path": "conformance.networks.jax_kernel"},
    },
    "layers.MelSpectrogram": {"fft_length": 32, "sequence_stride": 8, "sampling_rate": 64, "num_mel_bins": 4,
                              "min_freq": 1.0},
    "layers.Normalization": {"mean": 0.5, "variance": 0.3},
    "callbacks.BackupAndRestore": {"backup_dir": "backup"},
    "callbacks.CSVLogger": {"filename": "own.csv"},
    "callbacks.EarlyStopping": {"patience": 1, "min_delta": 0.2},
    "callbacks.LearningRateScheduler": {
        "schedule": {"_target_": "hydra.utils.get_method", "path": "conformance.networks.halved"}},
    "callbacks.ModelCheckpoint": {"filepath": "own.keras"},
    "callbacks.ReduceLROnPlateau": {"patience": 1, "min_delta": 0.2},
    "callbacks.TensorBoard": {"log_dir": "logs"},
    "dtype_policies.DTypePolicy": {"name": "mixed_bfloat16"},
    "dtype_policies.FloatDTypePolicy": {"name": "mixed_bfloat16"},
    "dtype_policies.DTypePolicyMap": {"default_policy": "mixed_bfloat16"},
    "dtype_policies.Int4DTypePolicy": {"mode": "int4/-1", "source_name": "float32"},
    "dtype_policies.GPTQDTypePolicy": {"mode": "gptq/4/32", "source_name": "float32"},
    "dtype_policies.AWQDTypePolicy": {"mode": "awq/4/32", "source_name": "float32"},
    "dtype_policies.QuantizedDTypePolicy": {"mode": "int8", "source_name": "float32"},
    "dtype_policies.QuantizedFloat8DTypePolicy": {"mode": "float8", "source_name": "float32"},
    "optimizers.MultiOptimizer": {
        "optimizer_map": {"_target_": "keras.optimizers.OptimizerMap", "default_optimizer": _SGD}},
    "layers.RandomPosterization": {"factor": 4},
    "layers.STFTSpectrogram": {"frame_length": 16},
}  # fmt: skip
"""More that one entry needs, or it could not take the inputs of the suite; by the entry's key."""

SAME = frozenset({
    "name", "seed", "verbose", "custom_objects", "native_serialization_platforms", "gptq_unpacked_column_size",
    "weights", "input_tensor", "autocast", "ragged", "sparse", "mask", "arguments", "learning_rate",
    "initial_learning_rate", "synchronized", "encoding", "x", "inputs", "params", "state",
    "quantization_config", "flash_attention", "vocabulary_dtype", "call_fn", "init_fn",
})  # fmt: skip
"""Arguments that do not change what is trained, or have no other value that a config on this machine can give."""

OTHER: dict[str, Any] = {
    "activation": "softplus", "activity_regularizer": {"_target_": "keras.regularizers.L2", "l2": 0.01},
    "attention_axes": [1], "axes": -2, "axis": 1, "backward_layer": {**_LSTM, "go_backwards": True},
    "bias_axes": "d", "bin_boundaries": [1.5, 9.5], "brightness_factor": 0.3, "contrast_factor": 0.3,
    "cropping": 2, "data_format": "channels_first", "dilation_rate": 2, "dims": [1, 2], "equation": "abc,bcd->abd",
    "factor": 0.6, "fft_length": 64, "fill_mode": "nearest", "fill_value": 0.3, "frame_step": 4, "function": _SHIFTED,
    "groups": 2, "height_factor": [-0.2, 0.2], "hue_factor": 0.2, "idf_weights": [1.0, 0.5, 0.2, 0.1, 0.3],
    "interpolation": "nearest", "kernel_size": 3, "layer": {**LAYER, "units": 2}, "logit_soft_cap": 2.0,
    "lora_alpha": 3.0, "lora_rank": 2, "mask_token": 1, "mask_value": 3, "max_freq": 20.0, "max_tokens": 8,
    "max_value": 1.5,
    "mean": 0.2, "merge_mode": "sum", "mode": "vertical", "momentum": 0.7, "noise_shape": [None, 1], "num_bins": 7,
    "num_tokens": 20, "oov_method": "farmhash", "oov_token": -5, "output_mode": "one_hot", "output_padding": 0,
    "output_shape": 3, "padding": "same", "recurrent_activation": "hard_sigmoid",
    "renorm_clipping": {"rmax": 2.0, "rmin": 0.5, "dmax": 1.0},
    "reverse_dtype": "float32", "salt": 7, "saturation_factor": 0.4, "scaling": "spectrum",
    "scale": 0.25, "score_mode": "concat", "sequence_length": 48, "shared_axes": [1], "size": 3, "sliding_window": 3,
    "strides": 2, "target_shape": [-1, 2], "tile_grid_size": [2, 2], "use_cudnn": False, "value_dim": 2,
    "value_range": [0, 200], "variance": 0.6, "vocabulary": [2, 4], "width_factor": [-0.2, 0.2],
    "window": "hamming", "bins": 8, "dtype": "mixed_bfloat16", "trainable": False, "layers": [LAYER],
    "cells": [CELL], "cell": {"_target_": "keras.layers.LSTMCell", "units": 2}, "pool_size": 3,
    # optimizers
    "weight_decay": 0.02, "clipnorm": 0.1, "clipvalue": 0.01, "global_clipnorm": 0.2, "ema_momentum": 0.6,
    "ema_overwrite_frequency": 3, "loss_scale_factor": 8.0, "gradient_accumulation_steps": 3, "warmup_steps": 3,
    "exclude_layers": ["dense_1"], "inner_optimizer": {**_SGD, "nesterov": True}, "beta_2_decay": -0.6,
    "learning_rate_power": -0.7, "initial_scale": 1024.0, "dynamic_growth_steps": 2, "muon_b": -4.0, "muon_a": 3.0,
    "muon_c": 1.5, "adam_lr_ratio": 0.5, "ns_steps": 3,
    # schedules
    "warmup_target": 0.3, "boundaries": [2, 6], "values": [0.1, 0.2, 0.02],
    # initializers and regularizers
    "value": 0.2, "source_name": "mixed_bfloat16", "distribution": "uniform", "input_axes": [0], "output_axes": [1],
}  # fmt: skip
"""Values beside the default or the needed one, by the argument's name."""

OTHER_BY: dict[str, Node] = {
    "layers.Attention": {"dropout": 0.3},
    "layers.CategoryEncoding": {"output_mode": "count"},
    "layers.Discretization": {"num_bins": None, "epsilon": None, "output_mode": "multi_hot"},
    "layers.Dot": {"axes": [1, 1]},
    "layers.dot": {"axes": [1, 1]},
    "layers.EinsumDense": {"output_shape": [8, 4]},
    "layers.IntegerLookup": {"output_mode": "multi_hot"},
    "layers.Cropping3D": {"cropping": [[0, 1], [1, 0], [1, 1]]},
    "layers.Lambda": {"output_shape": None},
    "layers.Masking": {"mask_value": 0.1},
    "layers.RandomPosterization": {"factor": 3},
    "layers.RandomErasing": {"scale": [0.1, 0.2], "fill_value": 0.2},
    "layers.RandomPerspective": {"scale": 0.5},
    "layers.Resizing": {"fill_mode": "constant", "interpolation": "nearest"},
    "layers.STFTSpectrogram": {"mode": "magnitude", "fft_length": 32},
    **{f"layers.ZeroPadding{rank}D": {"padding": 2} for rank in (1, 2, 3)},
    "initializers.VarianceScaling": {"mode": "fan_out"},
    "initializers.STFT": {"side": "imag"},
    "regularizers.OrthogonalRegularizer": {"mode": "columns"},
    "optimizers.LossScaleOptimizer": {"loss_scale_factor": None},
    "optimizers.MultiOptimizer": {"optimizer_map": None},
    "callbacks.CSVLogger": {"separator": ";", "filename": "other.csv"},
    "callbacks.EarlyStopping": {"monitor": "val_accuracy", "min_delta": 0.05, "mode": "max", "baseline": 0.1,
                                "start_from_epoch": 1, "patience": 2},
    "callbacks.LearningRateScheduler": {"schedule": None},
    "callbacks.BackupAndRestore": {"backup_dir": None, "save_freq": 3},
    "callbacks.ModelCheckpoint": {"monitor": "val_accuracy", "mode": "max", "save_freq": 5,
                                  "filepath": "other.weights.h5", "initial_value_threshold": 0.1},
    "callbacks.ReduceLROnPlateau": {"monitor": "loss", "mode": "min", "min_delta": 0.3, "cooldown": 1, "min_lr": 0.01},
    "callbacks.TensorBoard": {"log_dir": None, "histogram_freq": 1, "update_freq": "batch", "profile_batch": 2,
                              "embeddings_freq": 0, "embeddings_metadata": None},
    "callbacks.LambdaCallback": {
        name: {"_target_": "hydra.utils.get_method", "path": "conformance.networks.told"}
        for name in ("on_epoch_begin", "on_epoch_end", "on_train_batch_begin", "on_train_batch_end")
    } | {"on_train_begin": None, "on_train_end": None},
    **{f"dtype_policies.{kind}DTypePolicy": {"name": "mixed_float16"} for kind in ("", "Float")},
    "dtype_policies.DTypePolicyMap": {"default_policy": "float64", "policy_map": None},
    **{f"dtype_policies.{kind}DTypePolicy": {"mode": None} for kind in ("Int4", "GPTQ", "AWQ", "Quantized")},
    "dtype_policies.QuantizedFloat8DTypePolicy": {"mode": None, "amax_history_length": 4},
    "activations.threshold": {"threshold": 0.3, "default_value": 0.2},
}  # fmt: skip
"""The same for one entry."""

_SUFFIXES: dict[str, Any] = {
    "_regularizer": {"_target_": "keras.regularizers.L1L2", "l1": 0.01, "l2": 0.02},
    "_constraint": {"_target_": "keras.constraints.MaxNorm", "max_value": 0.5},
    "_initializer": {"_target_": "keras.initializers.RandomUniform", "minval": 0.1, "maxval": 0.4},
}
OF_EVERY_LAYER = ("activity_regularizer", "trainable", "dtype")
"""What layers take without naming it in their signature."""

OF_EVERY_OPTIMIZER = (
    "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency",
    "loss_scale_factor", "gradient_accumulation_steps",
)  # fmt: skip


class UnknownArgumentError(Exception):
    """Keras has grown an argument that the suite has no value for."""


def needed(entry: Entry) -> Node:
    """Values of the arguments without which the entry cannot be made."""
    own = NEEDED_BY.get(entry.key, {})
    names = [each.name for each in parameters(entry) if each.default is inspect.Parameter.empty]
    missing = [name for name in names if name not in NEEDED and name not in own and name not in SAME]
    if missing:
        raise UnknownArgumentError(f"Keras has grown {entry.key}({missing[0]}): add how to build it to NEEDED")
    return {**{name: NEEDED[name] for name in names if name not in own and name not in SAME}, **own}


def others(entry: Entry) -> Node:
    """Another value for each argument of an entry. Raises UnknownArgumentError where no rule gives one."""
    special = OTHER_BY.get(entry.key, {})
    names = {each.name: each.default for each in parameters(entry) if each.name not in SAME or each.name in special}
    found = {name: _other(entry, name, default) for name, default in names.items()}
    if entry.module == "layers" and inspect.isclass(entry.what):
        found = {**found, **{name: OTHER[name] for name in OF_EVERY_LAYER}}
    return {name: value for name, value in found.items() if value is not None}


def _other(entry: Entry, name: str, default: Any) -> Any:
    """A value; None where OTHER_BY leaves the argument as it is."""
    if name in OTHER_BY.get(entry.key, {}):
        return OTHER_BY[entry.key][name]
    if isinstance(default, bool):
        return not default
    if name in OTHER:
        return OTHER[name]
    by_suffix = [value for suffix, value in _SUFFIXES.items() if name.endswith(suffix)]
    if by_suffix:
        return by_suffix[0]
    given = NEEDED_BY.get(entry.key, {}).get(name, default)
    return _number(entry, name, NEEDED.get(name) if given is inspect.Parameter.empty else given)


def _number(entry: Entry, name: str, value: Any) -> Any:
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return round(value * 0.5, 12) if value else 0.25
    if isinstance(value, (list, tuple)) and all(isinstance(each, (int, float)) for each in value):
        return [_number(entry, name, each) for each in value]
    raise UnknownArgumentError(f"Keras has grown {entry.key}({name}={value!r}): add another value to OTHER")
