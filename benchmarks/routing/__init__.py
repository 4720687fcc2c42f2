"""A month of routing in virtual time: what a policy costs, and what its answers are worth, beside other policies."""
