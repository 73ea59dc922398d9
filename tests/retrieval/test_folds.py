"""Folds of people for cross-validation."""

from __future__ import annotations

from vouchrec.retrieval.ranking import SplitRule, cross_folds, split_histories
from vouchrec.retrieval.types import Interaction

EVENTS = [Interaction(f"u{user}", f"i{at}", 1.0, float(at)) for user in range(40) for at in range(3 + user % 4)]
RULE = SplitRule()


def test_everyone_with_enough_likes_is_tuned_on_or_in_one_fold():
    folds = cross_folds(EVENTS, RULE, folds=5, seed=0)
    tuning = {case.user for case in split_histories(EVENTS, RULE).validation}
    people = [case.user for fold in folds for case in fold.cases]
    enough = {f"u{user}" for user in range(40) if user % 4 >= 2}
    assert len(people) == len(set(people))
    assert set(people) | tuning == enough
    assert not set(people) & tuning


def test_a_fold_is_not_learnt_from_and_everyone_else_is():
    for fold in cross_folds(EVENTS, RULE, folds=3, seed=0):
        held = {case.user for case in fold.cases}
        assert fold.train == tuple(event for event in EVENTS if event.user not in held)


def test_the_folds_depend_on_the_seed_only():
    one, same = (cross_folds(events, RULE, folds=4, seed=1) for events in (EVENTS, EVENTS[::-1]))
    users = [[case.user for case in fold.cases] for fold in one]
    assert users == [[case.user for case in fold.cases] for fold in same]
    assert users != [[case.user for case in fold.cases] for fold in cross_folds(EVENTS, RULE, folds=4, seed=2)]
