"""The picture of the README shows what its captions say."""

import draw_seqtopk


def test_choice_under_both_scopes() -> None:
    scores = [draw_seqtopk.softmax(row) for row in draw_seqtopk.LOGITS]
    budget = draw_seqtopk.K * len(scores)
    sequence = draw_seqtopk.best(scores, range(len(scores)), budget)
    assert len(sequence) == budget
    kept = min(scores[t][e] for t, e in sequence)
    dropped = max(
        score
        for t, row in enumerate(scores)
        for e, score in enumerate(row)
        if (t, e) not in sequence
    )
    assert kept >= dropped
    svg = draw_seqtopk.draw()
    assert svg.count('stroke-width="3"') == 2 * budget
