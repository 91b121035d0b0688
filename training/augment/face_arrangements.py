"""Arrange people in a finder's training views as they are in frames that are hard to search."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a person's face is pasted.

    Attributes:
        x, y: the face's centre in pixels of the frame.
        tall: its height in pixels.
        roll: its rotation in degrees, clockwise on the screen.
        turned: whether it is preferably a face in profile, or half turned away.
    """

    x: float
    y: float
    tall: float
    roll: float
    turned: bool = False


def arranged_people(
    rng: np.random.Generator,
    *,
    touching: float,
    at_edge: float,
    passing: float,
    coming: float = 0.0,
    size: tuple[int, int],
) -> list[Placement]:
    """The people of a hard arrangement; none in most views.

    Args:
        rng: draws which one, and its people; not used if all shares are 0.
        touching, at_edge, passing, coming: how often each arrangement is drawn.
        size: (height, width) of the frame in pixels.
    """
    kinds = (
        (touching, touching_heads),
        (at_edge, cut_by_edge),
        (passing, passers_by),
        (coming, coming_people),
    )
    if not any(share for share, _ in kinds):
        return []
    chance = rng.random()
    for share, arrange in kinds:
        if chance < share:
            return arrange(rng, height=size[0], width=size[1])
        chance -= share
    return []


def touching_heads(rng: np.random.Generator, *, height: int, width: int) -> list[Placement]:
    """Two or three heads cheek to cheek or one behind the other, the nearest last."""
    share = math.exp(rng.uniform(math.log(0.08), math.log(0.6)))
    tall = share * height
    x = rng.uniform(0.15, 0.85) * width
    y = rng.uniform(0.2, 0.8) * height
    lean = rng.normal(0, 14)
    people = [Placement(x=x, y=y, tall=tall, roll=lean, turned=rng.random() < 0.3)]
    side = 1 if rng.random() < 0.5 else -1
    for _ in range(2 if rng.random() < 0.25 else 1):
        other = tall * math.exp(rng.normal(0, 0.15))
        # a face is about three quarters as wide as it is tall
        apart = 0.75 * (tall + other) / 2 * rng.uniform(0.6, 1.35)
        towards = -side * abs(rng.normal(0, 14)) if rng.random() < 0.6 else rng.normal(0, 14)
        people.append(
            Placement(
                x=x + side * apart,
                y=y + tall * rng.normal(0, 0.3),
                tall=other,
                roll=towards,
                turned=rng.random() < 0.3,
            )
        )
        side = -side
    order = rng.permutation(len(people))
    return [people[index] for index in order]


def cut_by_edge(rng: np.random.Generator, *, height: int, width: int) -> list[Placement]:
    """One or two faces of which an edge of the frame leaves about half, mostly a side edge."""
    people = []
    for _ in range(1 if rng.random() < 0.7 else 2):
        tall = math.exp(rng.uniform(math.log(0.06), math.log(0.5))) * height
        outside = rng.uniform(-0.3, 0.12)  # of the face's size: its centre inside, or just beyond
        chance = rng.random()
        if chance < 0.8:
            into = -outside * 0.75 * tall
            x = into if chance < 0.4 else width - into
            y = rng.uniform(0.05, 0.9) * height
        else:
            into = -outside * tall
            y = into if chance < 0.88 else height - into
            x = rng.uniform(0, 1) * width
        people.append(
            Placement(x=x, y=y, tall=tall, roll=rng.normal(0, 12), turned=rng.random() < 0.35)
        )
    return people


def passers_by(rng: np.random.Generator, *, height: int, width: int) -> list[Placement]:
    """Two to six small faces, upright, at about the same height, most of them turned."""
    share = math.exp(rng.uniform(math.log(0.03), math.log(0.1)))
    row = rng.uniform(0.15, 0.65) * height
    people: list[Placement] = []
    for _ in range(int(rng.integers(2, 7))):
        tall = share * height * math.exp(rng.normal(0, 0.2))
        x = rng.uniform(0.02, 0.98) * width
        if any(abs(x - other.x) < 0.8 * (tall + other.tall) / 2 for other in people):
            continue
        people.append(
            Placement(
                x=x,
                y=row + tall * rng.normal(0, 0.6),
                tall=tall,
                roll=rng.normal(0, 8),
                turned=rng.random() < 0.6,
            )
        )
    return sorted(people, key=lambda one: one.tall)


def coming_people(rng: np.random.Generator, *, height: int, width: int) -> list[Placement]:
    """Two to four people who come towards the camera, the outer one often cut by a side edge."""
    row = rng.uniform(0.1, 0.55) * height
    share = math.exp(rng.uniform(math.log(0.05), math.log(0.12)))
    count = int(rng.integers(2, 5))
    talls = [share * height * math.exp(rng.normal(0, 0.12)) for _ in range(count)]
    places = [rng.uniform(0.05, 0.95) * width for _ in range(count)]
    if rng.random() < 0.6:
        inside = rng.uniform(-0.05, 0.45) * 0.75 * talls[0]  # of its centre from the edge
        places[0] = inside if rng.random() < 0.5 else width - inside
    people: list[Placement] = []
    for x, tall in zip(places, talls, strict=True):
        if any(abs(x - other.x) < 0.8 * (tall + other.tall) / 2 for other in people):
            continue
        people.append(
            Placement(
                x=x,
                y=row + tall * rng.normal(0, 0.5),
                tall=tall,
                roll=rng.normal(0, 10),
                turned=rng.random() < 0.3,
            )
        )
    return people
