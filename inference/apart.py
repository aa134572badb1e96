"""Lowering the effort of some works alone, where that is enough for all to be met.

Works that do not allow lower effort must not lift others to full effort by sharing their batches,
and a high priority need not be degraded for the sake of a low one. So once not all can be met at
full effort, those that allow it give way by priority, the lowest first, and only as many as it
takes. Each batch still has one effort: the works that gave way and the others run in batches of
their own, those with the least slack first.
"""

import math
from collections.abc import Callable, Sequence

from inference.outlook import Outlook
from inference.plan import Plan
from inference.work import OverloadPolicy

GUARD = 3.0
"""Works of high priority go first if they could not wait for so many batches of the others."""
STEPS = 8
"""Moments at which is checked whether what is due can have been done."""


def plan_apart(outlook: Outlook, levels: int) -> Plan | None:
    """Return the batch to run next if some lines give way and others do not.

    Args:
        outlook: Of a queue of which full effort cannot meet all.
        levels: How many efforts there are.

    Returns:
        ``None`` where all lines would have to give way, or not even that would be enough.
    """
    ladder = _ladder(outlook, levels)
    if not ladder:
        return None
    ways = _ways(outlook)
    low, high = 0, len(ways)
    while low < high:  # the more give way, the more can be met
        middle = (low + high) // 2
        if _meeting(outlook, ways[middle], ladder[-1]) is None:
            low = middle + 1
        else:
            high = middle
    if low == len(ways):
        return None
    plans = (_meeting(outlook, ways[low], level) for level in ladder)
    return next((plan for plan in plans if plan is not None), None)


def plan_rigid(outlook: Outlook, levels: int) -> Plan | None:
    """Return a batch of those alone that allow no lower effort, where not all can be met.

    It comes before one of the others at the lowest effort; taken along in a batch at full effort,
    most of the others would be lost.

    Args:
        outlook: Of a queue that no effort can meet.
        levels: How many efforts there are.

    Returns:
        ``None`` where the device would do less that way, as with a large cost per batch.
    """
    ladder = _ladder(outlook, levels)
    rigid = [line.policy is not OverloadPolicy.DEGRADE for line in outlook.lines]
    if not ladder or all(rigid):
        return None
    own = outlook.wide(0, among=rigid)
    others = outlook.wide(ladder[-1], among=[not each for each in rigid])
    if not own.entries or not others.entries:
        return None
    seconds = own.seconds + others.seconds
    rate = (own.tokens + others.tokens) / seconds if seconds > 0.0 else math.inf
    return own if rate > outlook.wide(0).rate else None


def plan_guarded(outlook: Outlook, levels: int) -> Plan | None:
    """Return the batch to run next where the highest priorities fit by themselves, at full effort.

    Not all can be met even if the others give way, so these share what is left at the lowest
    effort. The two take turns: batches of a few works of high priority at a time, between those of
    the others, cost the device little.

    Args:
        outlook: Of a queue of which not all can be met, whoever gives way.
        levels: How many efforts there are.

    Returns:
        ``None`` where not even the highest priority fits, or not all others can give way.
    """
    ladder = _ladder(outlook, levels)
    guarded = _fitting(outlook)
    if not ladder or not any(guarded) or all(guarded):
        return None
    others = [not guards for guards in guarded]
    if any(
        line.policy is not OverloadPolicy.DEGRADE
        for line, gives in zip(outlook.lines, others, strict=True)
        if gives
    ):
        return None  # a batch at the lowest effort would pass them over
    own = outlook.tight(0, among=guarded)
    rest = outlook.wide(ladder[-1], among=others)
    if not own.entries or not rest.entries:
        return own if own.entries else None
    if outlook.slack_of(own) < GUARD * rest.seconds or _waits_longer(outlook, guarded):
        return own
    return rest


def _fitting(outlook: Outlook) -> list[bool]:
    """Return which lines fit at full effort by themselves: all of a priority, from the highest."""
    fitting = [False] * len(outlook.lines)
    for priority in sorted({line.priority for line in outlook.lines}, reverse=True):
        more = [line.priority >= priority for line in outlook.lines]
        plan = outlook.tight(0, among=more)
        if not plan.entries or not _leaves_met_among(outlook, plan, more):
            break
        fitting = more
    return fitting


def _leaves_met_among(outlook: Outlook, plan: Plan, among: Sequence[bool]) -> bool:
    """Say whether some lines are met behind a plan if they have half of the device."""
    unit_s = 2.0 * outlook.token_seconds(0)

    def waiting_s(key: float) -> float:
        counted = outlook.tokens_before(0, key)
        return unit_s * sum(tokens for tokens, counts in zip(counted, among, strict=True) if counts)

    return _leaves_met(outlook, plan, waiting_s, unit_s, unit_s, outlook.batch_seconds(0))


def _waits_longer(outlook: Outlook, guarded: Sequence[bool]) -> bool:
    """Say whether the guarded lines were not served after the others."""
    served = {True: -math.inf, False: -math.inf}
    for line, guards in zip(outlook.lines, guarded, strict=True):
        served[guards] = max(served[guards], line.served_at)
    return served[True] <= served[False]


def _ladder(outlook: Outlook, levels: int) -> list[int]:
    """Return the efforts below full that are each well cheaper than the one before."""
    found = [0]
    for level in range(1, levels):
        if outlook.helps(level, found[-1]):
            found.append(level)
    return found[1:]


def _ways(outlook: Outlook) -> list[list[bool]]:
    """Return which lines give way, the least first; not that all of them do."""
    able = [line.policy is OverloadPolicy.DEGRADE for line in outlook.lines]
    priorities = sorted(
        {line.priority for line, is_able in zip(outlook.lines, able, strict=True) if is_able}
    )
    ways = [
        [
            is_able and line.priority <= most
            for line, is_able in zip(outlook.lines, able, strict=True)
        ]
        for most in priorities
    ]
    return [way for way in ways if not all(way)]


def _meeting(outlook: Outlook, way: Sequence[bool], level: int) -> Plan | None:
    """Return the next batch if lines give way to an effort; ``None`` if not all are met then."""
    efforts = [level if gives else 0 for gives in way]
    fronts = [
        (outlook.key_of(entry), effort)
        for number, effort in enumerate(efforts)
        if (entry := outlook.front(number, effort)) is not None
    ]
    if not fronts:
        return None
    _, first = min(fronts)
    plan = outlook.tight(first, among=[effort == first for effort in efforts])
    if not plan.entries or not _leaves_all_met(outlook, plan, efforts):
        return None
    return plan


def _leaves_all_met(outlook: Outlook, plan: Plan, efforts: Sequence[int]) -> bool:
    """Say whether what waits behind a plan can be met, each line at its effort."""
    unit_s = {effort: outlook.token_seconds(effort) for effort in set(efforts)}
    batch_s = max(outlook.batch_seconds(effort) for effort in unit_s)

    def waiting_s(key: float) -> float:
        waiting = {effort: outlook.tokens_before(effort, key) for effort in unit_s}
        return sum(
            waiting[effort][number] * unit_s[effort] for number, effort in enumerate(efforts)
        )

    taken_s, longest_s = unit_s[plan.level], max(unit_s.values())
    return _leaves_met(outlook, plan, waiting_s, taken_s, longest_s, batch_s)


def _leaves_met(  # noqa: PLR0917 - the work that waits, in its units of time
    outlook: Outlook,
    plan: Plan,
    waiting_s: Callable[[float], float],
    taken_s: float,
    longest_s: float,
    batch_s: float,
) -> bool:
    """Say whether what waits behind a plan can be met.

    Until any moment, no more may have been due than the device can have done; and what is due
    within the batch that follows must have been done before it.

    Args:
        outlook: Of the queue.
        plan: What runs first.
        waiting_s: Device seconds of what waits and has a smaller key.
        taken_s: Device seconds of a token of the plan; ``longest_s`` of any that waits.
        longest_s: See above.
        batch_s: Length of the batch that follows.
    """
    total_s = waiting_s(math.inf) - plan.tokens * taken_s
    margin_s = outlook.mean_tokens * longest_s
    for step in range(STEPS):
        passed_s = total_s * step / STEPS
        key = outlook.latest_key(plan.seconds + passed_s + batch_s)
        done_s = outlook.taken_before(plan, key) * taken_s
        if waiting_s(key) - done_s - passed_s > margin_s:
            return False
    return True
