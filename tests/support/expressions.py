"""Filter expressions at random."""

OPERATORS = ("<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "&", "|", "^", "&&", "||", "&&", "||")
LITERALS = ("0", "1", "0.5", "16", "30", "1000")
FORMS = ("({}) {} ({})", "({}) {} ({})", "{} {} {}", "{} {} {}", "{} {} {}", "!({})", "-({})", "~({})")
FUNCTIONS = ("sqrt({})", "exists({})", "default({0}, {2})")


def random_expression(draw, numeric, depth=4):
    """An expression of numeric fields, whose types always fit."""
    if depth == 0 or draw.random() < 0.2:
        return draw.choice(LITERALS if draw.random() < 0.3 else numeric)
    left, right = (random_expression(draw, numeric, depth - 1) for _ in range(2))
    form = draw.choice(FUNCTIONS if draw.random() < 0.2 else FORMS)
    return form.format(left, draw.choice(OPERATORS), right)
