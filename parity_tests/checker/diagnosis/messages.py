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
    "swapped": "your alpha and gamma are swapped: alpha is the exponent, and gamma weights classes",
    # Those that only a softmax can have.
    "sigmoid": "your loss is a sigmoid of the true logit alone: the other classes do not enter",
    "one_against_all": "your loss is the sum of one sigmoid loss per class, not a softmax",
    "one_against_all_mean": "your loss is the mean of one sigmoid loss per class, not a softmax",
    "softmax_twice": "your softmax is taken twice",
}
# The same by a noun, for a value and a gradient that belong to different ones.
NOUN = {
    "FL": "the focal loss",
    "FL*": "the paper's other form, FL*",
    "gamma_ignored": "cross entropy, without (1 − p_t)^γ",
    "gamma_plus_one": "the exponent γ + 1",
    "gamma_minus_one": "the exponent γ − 1",
    "gamma_doubled": "the exponent 2γ",
    "gamma_halved": "the exponent γ/2",
    "gamma_squared": "the exponent γ²",
    "swapped_targets": "the other target",
    "modulator_of_p_t": "p_t^γ in place of (1 − p_t)^γ",
    "positives_only": "the positives alone",
    "negated": "the loss with the other sign",
    "swapped": "alpha and gamma swapped",
    "alpha ignored": "the loss without alpha",
    "alpha negative": "alpha for class 0",
    "alpha positive_only": "alpha for class 1 alone",
    "alpha both": "alpha for both classes",
    "alpha squared": "alpha applied twice",
}
CLASS_WEIGHTS = {
    "weighted_p_t": (
        "your p_t is exp(−weighted cross entropy): with class weights that is p_t^α, so take p_t "
        "from the unweighted one"
    ),
    "swapped": FORM["swapped"],
    "alpha_squared": "your class weights are applied twice",
    "alpha_reversed": "your class weights are applied as 1 − α",
    "alpha_normalised": "your class weights are divided by their sum",
    "alpha_of_mean_1": "your class weights are divided by their mean",
    "alpha_of_predicted": "your class weights are those of the predicted class, not of the target",
}
LOST_WEIGHTS = (
    "a sample alone has no weight: your mean divides by the sum of the weights (say "
    "--convention mean=weights), or alpha has no effect"
)
WRONG_AXIS = "your softmax is over the wrong axis: it runs over the rows of the batch"
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
    "truncated": "soft targets are truncated to integers: 0.3 and 0.8 become 0",
    # Class probabilities of a softmax.
    "interpolated_classes": (
        "class probabilities share one factor, (1 − Σ y_c·p_c)^γ; each class has its own"
    ),
    "exp_ce": (
        "class probabilities share one factor, (1 − exp(−cross entropy))^γ; each class has its own"
    ),
    "argmax": "of class probabilities only the largest counts",
}
SIGNED = "your |y − p|^γ lacks the absolute value"
# What the sum of the losses may be divided by.
DIVISORS = {
    "kept": "the elements that are kept",
    "all": "all elements, those that are left out included",
    "positives": "the positives that are kept",
    "all_positives": "all positives, those that are left out included",
    "weights": "the sum of the weights that are kept",
    "all_weights": "the sum of all weights",
    "nonzero": "the elements whose weight is not 0",
    "alphas": "the sum of α_t",
    "nothing": "nothing",
    "logits": "the number of logits, rows times classes",
    "kept_logits": "the logits of the rows that are kept",
    "classes": "the number of classes",
    "but_one": "the elements that are kept, less one",
}
# The same for a port that leaves nothing out.
DIVISORS_OF_ALL = {
    "kept": "the number of elements",
    "all": "the number of elements",
    "positives": "the number of positives",
    "weights": "the sum of the weights",
    "kept_logits": "the number of logits",
    "but_one": "the number of elements, less one",
}
SMOOTHING = {
    "smoothing_of_others": "your label_smoothing gives ε/(C − 1) to the other classes, not ε/C",
    "smoothing_lost": (
        "your smoothed targets do not add up to 1: the target keeps 1 − ε, and lacks its own ε/C"
    ),
    "smoothing_undivided": "your label_smoothing gives each class ε, not ε/C",
    "smoothing_of_two": "your label_smoothing gives each class ε/2, as for two classes, not ε/C",
    "smoothing_of_target": (
        "your label_smoothing enters the cross entropy alone: (1 − p_t)^γ has p_t of the target, "
        "and each class has to have its own"
    ),
    "smoothing_of_p_t": (
        "your p_t is exp(−smoothed cross entropy): each class has to have its own (1 − p)^γ"
    ),
    "smoothing_interpolated": (
        "your p_t is Σ y_c·p_c of the smoothed targets: each class has to have its own (1 − p)^γ"
    ),
    "smoothing_uniform": "the uniform part of your label_smoothing lacks (1 − p)^γ",
}
