"""The files that make inputs, and those that draw random numbers elsewhere, with a reason."""

FOLDERS = ("parity_tests", "examples", "benchmarks")
# What makes inputs: a whole file, or the functions and module-level assignments in it that do.
ALLOWED = {
    "parity_tests/contract/exact.py": "",
    "parity_tests/contract/grid.py": "",
    "parity_tests/contract/half_precision.py": "GAMMAS worst_errors",
    "parity_tests/tests/linear/linear_layer.py": (
        "FEATURES KERNEL BIAS IDS SETTINGS layer settings_of"
    ),
    "parity_tests/contract/make_vectors.py": "",
    "parity_tests/contract/problems.py": "",
    "parity_tests/pages/migration.py": "",
    "parity_tests/contract/recipe_samples.py": "",
    "parity_tests/tests/sharding/split.py": "EPSILON ARRAYS _arrays",
    "parity_tests/checker/audit/conventions.py": "usual_gamma",
    "parity_tests/checker/audit/facts.py": "MARGINS _climb",
    "parity_tests/checker/layers/arguments/questions.py": "SOFT _of_family _jets_in _of_elements",
    "parity_tests/checker/layers/ways.py": "EVERY_OTHER ONE_OF_SIX OF_ALL FAR _cotangents",
    "parity_tests/checker/layers/batch.py": "",
    "parity_tests/checker/diagnosis/evidence.py": "",
    "parity_tests/checker/report/heat.py": "",
    "parity_tests/checker/layers/identities.py": "",
    "parity_tests/checker/layers/family/identities.py": "TARGETS LOW_TO_HIGH SHIFTS _ask",
    "parity_tests/checker/layers/linear_layer/kernel_and_bias.py": (
        "SOFTCAP POISONS CHUNK_SIZES ONE_ROW MANY_ROWS _other_batches"
    ),
    "parity_tests/checker/layers/linear_layer/batch.py": "DIRECTION SIX batch_of",
    "parity_tests/checker/layers/several_gammas.py": "OF_CLASSES OF_ELEMENTS gammas_of",
    "parity_tests/checker/layers/arrangements/neighbours.py": "FAR _arrangements _arranged",
    "parity_tests/checker/layers/arrangements/classes.py": "CLASSES AT UNLIKELY _among",
    "parity_tests/checker/diagnosis/means.py": "LOGITS ROWS IDS CLASSES KEPT WEIGHTS",
    "parity_tests/checker/diagnosis/climb.py": "EASY FAR FARTHER far _points",
    "parity_tests/ports/questions.py": "",
    "parity_tests/checker/layers/special.py": "",
    "parity_tests/checker/sweep/command.py": "GAMMAS exponent first_contact",
    "parity_tests/checker/sweep/blocks.py": "groups _chunk",
    "parity_tests/checker/sweep/members.py": "ALPHA SHIFT OVERLAP",
    "parity_tests/versions/losses.py": "",
    "examples/calibration/data.py": "",
    "examples/training/caravan.py": "dataset standardised initial_weights batches",
    "examples/detection/anchors.py": "_anchors targets _assign overlaps _area _product encode",
    "examples/detection/network.py": "",
    "examples/detection/recipe.py": "",
    "examples/detection/scenes.py": "",
    "examples/large_vocabulary.py": "initial_weights",
    "examples/schedule.py": "batches",
    "examples/segmentation/recipe.py": "",
    "examples/segmentation/scenes.py": "",
    "examples/vocabulary/words.py": "sample",
    "examples/weights.py": "",
}

REPLACED = "weights that Flax asks for, and that those of examples/weights.py replace"
PERMUTED = "whole numbers alone, which no processor rounds; tables of the pages are of them"
STARTED = "where a training starts, whose every step the processor rounds; no test has its numbers"
TIMED = "what is timed or counted; none of its results is compared with a stored one"
READ = "of whose state alone is asked, to see whether a port draws"
DRAWN = "a curve in a picture, which nothing is compared with"
EXCEPTIONS: dict[str, dict[str, str]] = {
    "parity_tests/contract/exact.py": {
        "numpy.random": "the bits of PCG64, which numpy promises to keep"
    },
    "parity_tests/tests/layers/test_8_training_loops.py": {
        "jax.random": STARTED,
        "flax.nnx.Rngs": STARTED,
    },
    "parity_tests/tests/losses/test_training_recipes.py": {
        "flax.nnx.Rngs": "weights of a model of which only γ is asked"
    },
    "parity_tests/tests/sharding/test_split_models.py": {"torch.manual_seed": STARTED},
    "parity_tests/ports/side_effects.py": {"numpy.random": READ, "random": READ},
    "parity_tests/tests/verdicts/test_situations.py": {
        "torch.manual_seed": "what a port must not do"
    },
    "parity_tests/tests/contract/test_exact.py": {
        "torch.rand": "a text in which the test has to find it"
    },
    "parity_tests/versions/smoke_flax.py": {"jax.random": STARTED, "flax.nnx.Rngs": STARTED},
    "examples/calibration_jax.py": {"flax.nnx.Rngs": REPLACED},
    "examples/detection_jax.py": {"flax.nnx.Rngs": REPLACED},
    "examples/large_vocabulary.py": {"flax.nnx.Rngs": REPLACED},
    "examples/plot_focal_loss.py": {"jax.numpy.linspace": DRAWN},
    "examples/quickstart_jax.py": {"flax.nnx.Rngs": STARTED},
    "examples/segmentation_jax.py": {"flax.nnx.Rngs": REPLACED},
    "examples/training/train_jax.py": {"flax.nnx.Rngs": REPLACED},
    "benchmarks/cases.py": {"numpy.random": TIMED},
    "benchmarks/device_parity.py": {"numpy.random": PERMUTED},
    "benchmarks/vocabulary/layers.py": {"numpy.random": TIMED},
    "benchmarks/scaling/command.py": {"numpy.random": TIMED},
    "benchmarks/timing.py": {"numpy.random": TIMED},
}
