/* The focal loss as a port for focal-parity: docs/protocol.md on stdin and stdout.

       cc -O2 -o focal examples/ports/focal.c -lm
       focal-parity check --command ./focal --as sigmoid_focal_loss

   All arithmetic is in double; for float32 the results are rounded to it at the end. Compile without -ffast-math,
   which does away with infinities and NaN. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct focal {
    double loss, first, second;
};

/* x·y, where 0·inf is 0: certainty costs nothing, and neither does a class with α = 0. */
static double times(double x, double y) {
    return (x == 0 && isinf(y)) || (y == 0 && isinf(x)) ? 0 : x * y;
}

/* σ(x), to full relative accuracy also where it is tiny; 1 − σ(x) is σ(−x) and is never a difference. */
static double sigmoid(double x) {
    double e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* α_t·m^γ·b with m = 1 − p_t and b = BCE at the logit z and the target y, and its derivatives in z. NaN is no α. */
static struct focal focal(double z, double y, double alpha, double gamma) {
    double p = sigmoid(z), q = sigmoid(-z), m = y * q + (1 - y) * p;
    double weight = isnan(alpha) ? 1 : y * alpha + (1 - y) * (1 - alpha);
    double b = times(y, softplus(-z)) + times(1 - y, softplus(z)), db = (1 - y) * p - y * q;
    /* d log(m)/dz. For a hard target p·q/m is p or q itself, also where m is 0. */
    double r = y == 1 ? -p : y == 0 ? q : (1 - 2 * y) * p * q / m;
    double rb = gamma * times(r, b), power = weight * pow(m, gamma);
    struct focal f;
    f.loss = times(power, b);
    f.first = power * (rb + db);
    f.second = power * (rb * (gamma * r + q - p - r) + 2 * gamma * r * db + p * q);
    /* fmax leaves NaN out. */
    if (isnan(z))
        f.loss = f.first = f.second = z;
    return f;
}

/* The number of a key of the line, which is a hex float in a string; `absent` if there is none. */
static double number(const char *line, const char *key, double absent) {
    char pattern[32];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
    const char *found = strstr(line, pattern);
    return found ? strtod(found + strlen(pattern), NULL) : absent;
}

static int shake_hands(const char *line) {
    int single = strstr(line, "\"dtype\":\"float32\"") != NULL;
    if (!strstr(line, "\"function\":\"sigmoid_focal_loss\""))
        puts("{\"error\":\"this port is a sigmoid_focal_loss\"}");
    else if (!single && !strstr(line, "\"dtype\":\"float64\""))
        puts("{\"error\":\"this port has float32 and float64\"}");
    else
        puts("{\"protocol\":1,\"arguments\":[\"logits\",\"targets\",\"alpha\",\"gamma\"],"
             "\"results\":[\"loss\",\"logits\",\"logits logits\"]}");
    fflush(stdout);
    return single;
}

int main(void) {
    char line[4096];
    int single = fgets(line, sizeof line, stdin) ? shake_hands(line) : 0;
    while (fgets(line, sizeof line, stdin)) {
        const char *id = strstr(line, "\"id\":");
        if (!id)
            continue;
        struct focal f = focal(number(line, "logits", NAN), number(line, "targets", NAN), number(line, "alpha", NAN),
                               number(line, "gamma", NAN));
        if (single)
            f = (struct focal){(float)f.loss, (float)f.first, (float)f.second};
        printf("{\"id\":%ld,\"results\":{\"loss\":\"%a\",\"logits\":\"%a\",\"logits logits\":\"%a\"}}\n",
               strtol(id + 5, NULL, 10), f.loss, f.first, f.second);
        fflush(stdout);
    }
    return 0;
}
