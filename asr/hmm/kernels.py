"""The compiled part of forced alignment: Viterbi search over training graphs. See training_graph.py for the arrays."""

import numpy as np

from ..jit import kernel


@kernel(
    "Tuple((boolean, uint16[::1]))(int64, int64[::1], int32[::1], float64[::1], float64[::1], float64[::1], int32[::1],"
    "int32[::1], int32[::1], int32[::1], float32[:, ::1], float64, float64, int64[:, ::1], float64[::1])"
)
def search(
    base,
    arc_offsets,
    arc_source,
    arc_score,
    loop_score,
    final_score,
    lowest_target,
    highest_target,
    entry_column,
    loop_column,
    log_likelihoods,
    acoustic_scale,
    beam,
    ranges,
    score,
):
    """Fill `ranges`, `score` (of the nodes at the last frame) and the back pointers; true if the end was reached.

    Back pointers: 0 = stayed, k = came by the node's k-th incoming arc. Only nodes within reach of the previous
    frame's survivors are looked at or stored.

    Args:
        base: the place of the graph's node 0 in the pack; entry_column, loop_column and score have the graph's nodes
            alone.
        ranges: (n_frames, 3): first node, last node + 1 and place in the back pointers of each frame.
    """
    n_nodes, n_frames = len(score), len(log_likelihoods)
    # 16 bits hold the number of an incoming arc. Room for up to 64 nodes a frame to begin with; it grows.
    back = np.empty(max(1024, n_frames * min(n_nodes, 64)), np.uint16)
    new = np.empty(n_nodes)
    for node in range(n_nodes):
        score[node] = -np.inf
    score[0] = 0.0
    # Nodes low to high are those that survived the frame before: a band that moves along the utterance.
    low, high, used = 0, 1, 0
    for t in range(n_frames):
        # Nodes are in topological order: what is within reach lies between the lowest and the highest target.
        first, last = n_nodes, 0
        for node in range(low, high):
            if score[node] > -np.inf:
                if lowest_target[base + node] < first:
                    first = lowest_target[base + node]
                if highest_target[base + node] > last:
                    last = highest_target[base + node]
        # Node 0 is the start, before the first frame; no arc leads to it.
        first, last = max(first, 1), last + 1
        if used + last - first > len(back):
            longer = np.empty(2 * len(back) + last - first, np.uint16)
            for place in range(used):
                longer[place] = back[place]
            back = longer
        ranges[t, 0], ranges[t, 1], ranges[t, 2] = first, last, used
        top = -np.inf
        for node in range(first, last):
            # The best way in, and then whether staying is better. Entering and staying may have different pdfs.
            entry, by, begin = -np.inf, 0, arc_offsets[base + node]
            for arc in range(begin, arc_offsets[base + node + 1]):
                candidate = score[arc_source[arc]] + arc_score[arc]
                if candidate > entry:
                    entry, by = candidate, arc - begin + 1
            best = entry + acoustic_scale * log_likelihoods[t, entry_column[node]]
            if score[node] > -np.inf:
                stay = score[node] + loop_score[base + node] + acoustic_scale * log_likelihoods[t, loop_column[node]]
                if stay >= best:
                    best, by = stay, 0
            new[node] = best
            back[used] = by
            used += 1
            if best > top:
                top = best
        if top == -np.inf:
            return False, back
        # `score` becomes the new frame's, within the beam alone; the old band is cleared first.
        for node in range(low, high):
            score[node] = -np.inf
        # The new band is that of the survivors, found while they are copied.
        low, high = last, first
        for node in range(first, last):
            if new[node] >= top - beam:
                score[node] = new[node]
                if node < low:
                    low = node
                high = node + 1
    reached = False
    for node in range(low, high):
        reached = reached or score[node] + final_score[base + node] > -np.inf
    return reached, back


@kernel(
    "Tuple((float64, float64))(int64, int64[::1], int32[::1], int32[::1], int32[::1], int32[::1], float64[::1],"
    "int32[::1], int32[::1], float32[:, ::1], float64, int64[:, ::1], float64[::1], uint16[::1], int32[::1])"
)
def trace_back(
    base,
    arc_offsets,
    arc_source,
    arc_id,
    loop_id,
    final_id,
    final_score,
    entry_column,
    loop_column,
    log_likelihoods,
    acoustic_scale,
    ranges,
    score,
    back,
    transition_ids,
):
    """Fill `transition_ids` with the best path; its acoustic (unscaled) and its graph log score."""
    node, total = 0, -np.inf
    for candidate in range(len(score)):
        if score[candidate] + final_score[base + candidate] > total:
            node, total = candidate, score[candidate] + final_score[base + candidate]
    # The transition by which the path leaves the node: known from what comes after it.
    leaving = final_id[base + node]
    # Likelihoods are summed once more, unscaled; the graph's part is what remains of the total.
    acoustic = 0.0
    for t in range(len(transition_ids) - 1, -1, -1):
        by = back[ranges[t, 2] + node - ranges[t, 0]]
        # Kaldi's reorder: the transition that leaves a state stands at its first frame, self-loops at the later ones.
        if by == 0:
            transition_ids[t] = loop_id[base + node]
            acoustic += log_likelihoods[t, loop_column[node]]
        else:
            transition_ids[t] = leaving
            acoustic += log_likelihoods[t, entry_column[node]]
            arc = arc_offsets[base + node] + by - 1
            leaving = arc_id[arc]
            node = arc_source[arc]
    return acoustic, total - acoustic_scale * acoustic


@kernel(
    "void(int64[::1], int64[::1], int32[::1], int32[::1], float64[::1], float64[::1], float64[::1], int32[::1],"
    "int32[::1], int32[::1], int32[::1], int32[::1], int32[::1], int64[::1], int32[::1], float32[:, ::1], int32[::1],"
    "int32[::1], float64[::1], float64, int32[::1], int8[::1], float64[::1], float64[::1])"
)
def align_utterances(
    node_offsets,
    arc_offsets,
    arc_source,
    arc_id,
    arc_score,
    loop_score,
    final_score,
    entry_pdf,
    loop_pdf,
    loop_id,
    final_id,
    lowest_target,
    highest_target,
    frame_offsets,
    graph_index,
    log_likelihoods,
    min_frames,
    column_of_pdf,
    beams,
    acoustic_scale,
    transition_ids,
    status,
    acoustic_score,
    graph_score,
):
    """Align each utterance with its graph: with beams[0] and, while the end is not reached, the wider ones after it.

    Args:
        status: the number of the beam that was enough; -1 where none was, -2 where there are too few frames.
    """
    for i in range(len(graph_index)):
        graph = graph_index[i]
        base = node_offsets[graph]
        n_nodes = node_offsets[graph + 1] - base
        frames = log_likelihoods[frame_offsets[i] : frame_offsets[i + 1]]
        ids = transition_ids[frame_offsets[i] : frame_offsets[i + 1]]
        status[i] = -1
        # Not even the shortest path fits: no beam would help.
        if len(ids) < min_frames[graph]:
            status[i] = -2
            continue
        entry_column, loop_column = np.empty(n_nodes, np.int32), np.empty(n_nodes, np.int32)
        for node in range(1, n_nodes):
            entry_column[node] = column_of_pdf[entry_pdf[base + node]]
            loop_column[node] = column_of_pdf[loop_pdf[base + node]]
        ranges = np.empty((len(ids), 3), np.int64)
        score = np.empty(n_nodes)
        # The wider beam is for the few that need it: bad transcripts, odd audio.
        for k in range(len(beams)):
            reached, back = search(
                base,
                arc_offsets,
                arc_source,
                arc_score,
                loop_score,
                final_score,
                lowest_target,
                highest_target,
                entry_column,
                loop_column,
                frames,
                acoustic_scale,
                beams[k],
                ranges,
                score,
            )
            if reached:
                status[i] = k
                acoustic_score[i], graph_score[i] = trace_back(
                    base,
                    arc_offsets,
                    arc_source,
                    arc_id,
                    loop_id,
                    final_id,
                    final_score,
                    entry_column,
                    loop_column,
                    frames,
                    acoustic_scale,
                    ranges,
                    score,
                    back,
                    ids,
                )
                break
