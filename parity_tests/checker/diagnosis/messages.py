"""What a report says of each reading that is not the declared one."""

ALPHA = {
    "positive": "your alpha weights class 1 by α and class 0 by 1 − α (the paper's convention)",
    "negative": (
        "your alpha weights the negatives: class 0 gets α, class 1 gets 1 − α (tutorial convention)"
    ),
    "positive_only": "your alpha weights class 1 alone, class 0 has weight 1 (a pos_weight)",
    "both": "your alpha is a common factor of both classes",
    "ignored": "your alpha has no effect",
    "doubled_negatives": "your negatives count twice, 2·(1 − α), as soon as there is an α",
    "squared": "your alpha is applied twice",
    "negative_only": "your alpha weights class 0 alone, by 1 − α; class 1 has weight 1",
}
FORM = {
    "FL": "your loss is (1 − p_t)^γ·BCE [eq. 4]",
    "FL*": "your loss is the paper's other form, FL* = softplus(−γ·u)/γ [eq. 9]",
    "gamma_ignored": "your gamma has no effect: this is cross entropy",
    "gamma_plus_one": "your exponent is γ + 1",
    "gamma_minus_one": "your exponent is γ − 1",
    "gamma_doubled": "your exponent is 2γ",
    "gamma_halved": "your exponent is γ/2",
    "gamma_squared": "your exponent is γ²",
    "swapped_targets": "your targets are the wrong way round: target 1 gets the loss of target 0",
    "modulator_of_p_t": "your modulating factor is p_t^γ, not (1 − p_t)^γ",
    "modulator_of_p": "your modulating factor is (1 − p)^γ for both classes; for class 0 it is p^γ",
    "modulator_of_1_minus_p": (
        "your modulating factor is p^γ for both classes; for class 1 it is (1 − p)^γ"
    ),
    "modulator_outside": "your loss lacks the factor −log p_t",
    "sigmoid_twice": "your logits go through the sigmoid twice",
    "log_base_2": "your logarithm is to base 2",
    "log_base_10": "your logarithm is to base 10",
    "positives_only": "your loss leaves out the negatives",
    "negated": "your loss has the wrong sign",
    # Those that only a softmax can have.
    "sigmoid": "your loss is a sigmoid of the true logit alone: the other classes do not enter",
    "one_against_all": "your loss is the sum of one sigmoid loss per class, not a softmax",
    "one_against_all_mean": "your loss is the mean of one sigmoid loss per class, not a softmax",
    "softmax_twice": "your softmax is taken twice",
}
WEIGHTED_P_T = (
    "your p_t is exp(−weighted cross entropy): with class weights that is p_t^α, so take p_t from "
    "the unweighted one"
)
SOFT = {
    "interpolate": (
        "soft targets follow the interpolated rule, (1 − p_t)^γ·BCE (optax, torchvision, Keras)"
    ),
    "mixture": "soft targets follow kornia's rule, y·f(z) + (1 − y)·f(−z)",
    "margin": "soft targets follow MONAI's rule, σ(−z·(2y − 1))^γ·BCE",
    "exp_bce": (
        "soft targets follow the rule of segmentation-models-pytorch and catalyst, "
        "(1 − exp(−BCE))^γ·BCE"
    ),
    "quality": "soft targets follow the quality focal loss, |y − p|^γ·BCE",
    "legacy": "soft targets follow effdet's rule, exp(−γ·y·z − γ·softplus(−z))·BCE",
    "hard_modulator": "soft targets are rounded to 0 or 1 in the modulating factor",
    "scaled_margin": "soft targets scale the margin: your loss is f((2y − 1)·z)",
    "rounded": "soft targets are rounded to 0 or 1",
}
MEAN = {
    "kept": "your mean divides by the elements that are kept",
    "all": "you average over ignored elements: mean divides by all of them",
    "weights": "your mean divides by the sum of the weights, so a common weight has no effect",
    "nothing": "your mean is the sum: it divides by nothing",
}
