"""The error of a plan that contradicts itself, raised wherever its terms are made."""


class PlanError(ValueError):
    """Terms that contradict themselves.

    Args:
        field: The dotted name of the term at fault, as a plan's YAML spells it.
        sentence: What is wrong with it and what would be right.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field
        self.sentence = sentence

    def within(self, field: str) -> "PlanError":
        """Return the error as seen from the section that the field stands in."""
        return PlanError(f"{field}.{self.field}", self.sentence)
