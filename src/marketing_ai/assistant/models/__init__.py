"""The optional language model: it reads what the parser refuses, and words what the rows say.

It writes neither SQL nor numbers. A plan of its making passes the same checks as any other and may
hold no number that the question has not; its sentences have slots that code fills after each claim
was recomputed. Without settings it is off, and when it fails the deterministic answer stands.
"""
