"""Matching detections to tracks, from boxes and times only."""

from hypothesis import given
from hypothesis import strategies as st

from rtseg.faces.base import FaceDetection
from rtseg.faces.tracker import (
    ABSENCE_SECONDS,
    KEPT_SCORE,
    REGAINED_SCORE,
    FaceTracker,
    outdoes_any_hair,
    plainly_visible,
)
from rtseg.geometry.crop import box_around

STEP = 1 / 30


def detection(x, y=100.0, size=60.0, *, track_id=None, score=0.9, away=False):
    box = box_around(x, y, 0.75 * size, size)
    return FaceDetection(
        box=box,
        head=box_around(x, y, size, 1.4 * size),
        score=score,
        track_id=track_id,
        is_turned_away=away,
    )


def ids(tracks):
    return [None if track is None else track.track_id for track in tracks]


def begun(*detections, max_faces=4):
    tracker = FaceTracker(max_faces=max_faces)
    tracker.update(detections, seconds=0.0)
    return tracker


def test_each_new_face_gets_the_next_id_largest_first():
    tracker = FaceTracker(max_faces=4)
    assert ids(tracker.update([detection(100, size=40), detection(300, size=80)], seconds=0.0)) == [
        2,
        1,
    ]


def test_a_face_detected_twice_is_one_track():
    tracker = FaceTracker(max_faces=4)
    assert ids(tracker.update([detection(100), detection(104)], seconds=0.0)) == [1, None]


def test_two_tracks_never_share_a_face():
    tracker = begun(detection(100), detection(150))
    # both crops show the one remaining face, which is the second's
    owners = tracker.update([detection(148, track_id=1), detection(148, track_id=2)], seconds=STEP)
    assert ids(owners) == [None, 2]
    assert [track.is_present for track in tracker.tracks] == [False, True]


def test_crossing_faces_keep_their_ids():
    tracker = begun(detection(100), detection(300))
    first, second = 100.0, 300.0
    for index in range(1, 41):
        first, second = first + 5, second - 5
        # each crop shows both faces while they are close
        detections = [detection(first, track_id=1), detection(second, y=130, track_id=2)]
        if abs(first - second) < 60:
            detections += [detection(second, y=130, track_id=1), detection(first, track_id=2)]
        owners = tracker.update(detections, seconds=index * STEP)
        assert ids(owners)[:2] == [1, 2]


def test_a_face_hidden_by_another_returns_with_its_id():
    tracker = begun(detection(100), detection(160))
    for index in range(1, 10):  # the second face is hidden behind the first
        owners = tracker.update(
            [detection(130, track_id=1), detection(130, track_id=2)], seconds=index * STEP
        )
        assert sum(track is not None for track in owners) == 1
    hidden = ({1, 2} - {track.track_id for track in tracker.tracks if track.is_present}).pop()
    (_, back) = tracker.update([detection(130, track_id=3 - hidden), detection(190)], seconds=0.4)
    assert back is not None
    assert back.track_id == hidden


def test_an_absent_face_keeps_its_id_for_half_a_second():
    tracker = begun(detection(100))
    tracker.update([], seconds=STEP)
    assert ids(tracker.update([detection(120)], seconds=ABSENCE_SECONDS)) == [1]
    tracker.update([], seconds=1.0)
    assert ids(tracker.update([detection(120)], seconds=2.0)) == [2]


def test_a_lost_face_is_not_recovered_by_a_doubtful_one():
    tracker = begun(detection(100))
    tracker.update([], seconds=STEP)
    assert ids(tracker.update([detection(100, track_id=1, score=0.4)], seconds=2 * STEP)) == [None]
    assert ids(tracker.update([detection(100, track_id=1, score=0.7)], seconds=3 * STEP)) == [1]


def test_a_visible_face_is_preferred_to_hair_turned_away():
    tracker = begun(detection(100))
    away, shown = (
        detection(100, track_id=1, away=True, score=1.0),
        detection(108, track_id=1, score=0.6),
    )
    assert ids(tracker.update([away, shown], seconds=STEP)) == [None, 1]
    assert ids(tracker.update([away], seconds=2 * STEP)) == [1]
    assert tracker.tracks[0].is_present


def test_no_more_tracks_than_allowed_are_started():
    tracker = begun(detection(100), detection(300), max_faces=2)
    owners = tracker.update(
        [detection(100, track_id=1), detection(300, track_id=2), detection(500, size=200)],
        seconds=STEP,
    )
    assert ids(owners) == [1, 2, None]


def test_reset_forgets_tracks_and_ids_continue():
    tracker = begun(detection(100))
    tracker.reset()
    assert tracker.tracks == ()
    assert ids(tracker.update([detection(100)], seconds=STEP)) == [2]


@given(x=st.floats(60, 140), score=st.floats(0, 1), hair_x=st.floats(60, 140))
def test_hair_never_wins_against_a_face_that_outdoes_it(x, score, hair_x):
    tracker = begun(detection(100))
    face = detection(x, track_id=1, score=score)
    hair = detection(hair_x, track_id=1, score=1.0, away=True)
    if outdoes_any_hair(face, tracker.tracks[0]):
        assert ids(tracker.update([face, hair], seconds=STEP)) == [1, None]


def test_a_face_that_has_not_moved_outdoes_hair_and_a_far_or_doubtful_one_does_not():
    (track,) = begun(detection(100)).tracks
    assert outdoes_any_hair(detection(104, track_id=1), track)
    assert not outdoes_any_hair(detection(104, track_id=1, score=0.2), track)
    assert not outdoes_any_hair(detection(150, track_id=1), track)


@given(
    apart=st.floats(30, 300),
    faces=st.lists(
        st.tuples(st.floats(-60, 60), st.floats(0, 1), st.booleans()), min_size=2, max_size=5
    ),
    hair=st.lists(st.floats(-60, 60), min_size=2, max_size=2),
    lost=st.booleans(),
)
def test_hair_changes_nothing_for_tracks_that_are_plainly_visible(apart, faces, hair, lost):
    starts = {1: 100.0, 2: 100.0 + apart}
    tracker, without = (begun(*map(detection, starts.values())) for _ in range(2))
    if lost:  # the second one, a moment ago
        for one in (tracker, without):
            one.update([detection(100, track_id=1)], seconds=STEP)
    seen = [
        detection(starts[1 + is_second] + x, track_id=1 + is_second, score=score)
        for x, score, is_second in faces
    ]
    visible = plainly_visible(tracker.tracks, seen)
    away = [
        detection(starts[name] + x, track_id=name, score=1.0, away=True)
        for name, x in zip(starts, hair, strict=True)
    ]
    needed = [one for one in away if one.track_id not in visible]
    owners = tracker.update([*seen, *away], seconds=2 * STEP)
    assert ids(without.update([*seen, *needed], seconds=2 * STEP)) == [
        *ids(owners[: len(seen)]),
        *(
            owner and owner.track_id
            for owner, one in zip(owners[len(seen) :], away, strict=True)
            if one in needed
        ),
    ]


def test_a_face_that_two_crops_show_is_not_plainly_visible_nor_is_one_beside_a_doubtful_one():
    tracks = begun(detection(100), detection(180), detection(600)).tracks
    names = {round(track.head.centre[0]): track.track_id for track in tracks}
    first, second, far = names[100], names[180], names[600]
    plain = [detection(x, track_id=name) for x, name in names.items()]
    assert plainly_visible(tracks, plain) == {first, second, far}
    shared = [*plain, detection(101, track_id=second)]
    assert plainly_visible(tracks, shared) == {far}
    doubtful = [one for one in plain if one.track_id != second]
    assert plainly_visible(tracks, doubtful) == {far}


def test_times_count_from_any_beginning():
    tracker = FaceTracker(max_faces=4)
    tracker.update([detection(100)], seconds=3600.0)
    tracker.update([], seconds=3600.1)
    assert len(tracker.tracks) == 1
    assert ids(tracker.update([detection(120)], seconds=3600.4)) == [1]


def test_a_picture_with_the_same_time_does_not_forget_a_lost_face():
    tracker = begun(detection(100))
    tracker.update([], seconds=0.0)
    assert ids(tracker.update([detection(120)], seconds=0.0)) == [1]


def test_of_two_faces_as_near_the_surer_one_continues_a_track():
    for scores in ((0.5, 0.9), (0.9, 0.5)):
        tracker = begun(detection(100))
        faces = [
            detection(x, track_id=1, score=score)
            for x, score in zip((60, 140), scores, strict=True)
        ]
        owners = ids(tracker.update(faces, seconds=STEP))
        assert owners == ([None, 1] if scores[1] > scores[0] else [1, None])


def test_the_least_scores_of_a_followed_and_of_a_lost_face_suffice():
    tracker = begun(detection(100))
    kept = detection(100, track_id=1, score=KEPT_SCORE)
    assert ids(tracker.update([kept], seconds=STEP)) == [1]
    tracker.update([], seconds=2 * STEP)
    regained = detection(100, track_id=1, score=REGAINED_SCORE)
    assert ids(tracker.update([regained], seconds=3 * STEP)) == [1]


def test_a_lost_face_continues_nearby_at_a_similar_size_only():
    for x, size, expected in (
        (220, 60, 1),  # 84 pixels are a head's height
        (240, 60, 2),
        (100, 110, 1),
        (100, 130, 2),
        (100, 35, 1),
        (100, 25, 2),
    ):
        tracker = begun(detection(100))
        tracker.update([], seconds=STEP)
        assert ids(tracker.update([detection(x, size=size)], seconds=2 * STEP)) == [expected]


def test_detections_are_assigned_in_any_order():
    tracker = begun(detection(100), detection(300))
    new, again = detection(500, size=50), detection(101, size=59)  # the second is a track's face
    owners = tracker.update(
        [again, new, detection(300, track_id=2), detection(100, track_id=1)], seconds=STEP
    )
    assert ids(owners) == [None, 3, 2, 1]


def test_a_lost_track_does_not_take_the_face_of_one_that_was_seen_since():
    tracker = begun(detection(100), detection(160))
    tracker.update([detection(160, track_id=2)], seconds=STEP)  # the first is lost
    # both crops show the face of the second where the first one was, as it has moved there
    shown = [detection(130, track_id=1), detection(130, track_id=2, score=0.5)]
    assert ids(tracker.update(shown, seconds=2 * STEP)) == [None, 2]


def test_a_lost_face_is_not_elsewhere_while_it_is_seen_where_it_was():
    for own in (None, 1):
        for place, expected in ((100, [None if own else 2]), (400, [1])):
            tracker = begun(detection(100))
            tracker.update([], seconds=STEP)
            beside = detection(145, track_id=own)
            owners = tracker.update(
                [beside], seconds=2 * STEP, occupied=[detection(place).box, beside.box]
            )
            assert ids(owners) == expected


def test_a_lost_face_that_is_seen_where_it_was_is_found_there():
    tracker = begun(detection(100))
    tracker.update([], seconds=STEP)
    seen = [detection(100).box, detection(150).box]
    owners = tracker.update([detection(150), detection(102)], seconds=2 * STEP, occupied=seen)
    assert ids(owners) == [2, 1]


def test_of_two_lost_faces_each_is_found_where_it_is_nearest():
    tracker = begun(detection(100, size=60), detection(200, size=60))
    tracker.update([], seconds=STEP)
    # the larger one is nearest to the place that the smaller one is at
    owners = tracker.update([detection(128, size=64), detection(104)], seconds=2 * STEP)
    assert ids(owners) == [2, 1]


def test_where_two_faces_were_lost_the_last_one_is_found():
    tracker = begun(detection(100), detection(190))
    tracker.update([detection(160, track_id=2)], seconds=STEP)
    tracker.update([detection(130, track_id=2)], seconds=2 * STEP)
    tracker.update([detection(110, track_id=2)], seconds=3 * STEP)
    tracker.update([], seconds=4 * STEP)
    assert ids(tracker.update([detection(100)], seconds=5 * STEP)) == [2]
