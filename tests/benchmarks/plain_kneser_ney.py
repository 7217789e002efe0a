"""Modified Kneser-Ney smoothing in plain Python: dictionaries, and Chen and Goodman's formulas one after the other.

Slow, in gigabytes, and without anything of this project: what a large model is compared with.
"""

from collections import Counter, defaultdict


class PlainKneserNey:
    """An interpolated model of sentences, given as lists of words.

    Ref: Chen and Goodman, 1998, equations 26 and 27; Heafield et al., 2013, section 3 for the adjusted counts.
    """

    def __init__(self, sentences, order):
        self.order = order
        self.ids = {"<unk>": 0, "<s>": 1, "</s>": 2}
        raw = [Counter() for _ in range(order + 1)]
        for words in sentences:
            ids = (1, *(self.ids.setdefault(word, len(self.ids)) for word in words), 2)
            for n in range(1, order + 1):
                raw[n].update(zip(*(ids[k:] for k in range(n)), strict=False))
        del raw[1][1,]
        # An n-gram below the highest order counts as often as there are words before it, unless it begins with <s>.
        adjusted = [None, *(dict.fromkeys(table, 0) for table in raw[1:])]
        adjusted[order] = raw[order]
        for n in range(1, order):
            for gram in raw[n + 1]:
                if gram[1:] in adjusted[n]:
                    adjusted[n][gram[1:]] += 1
            adjusted[n].update({gram: count for gram, count in raw[n].items() if gram[0] == 1})
        self.adjusted, self.discounts = adjusted, [None] * (order + 1)
        self.totals, self.given = [defaultdict(int) for _ in adjusted], [defaultdict(float) for _ in adjusted]
        for n in range(1, order + 1):
            classes = Counter(adjusted[n].values())
            y = classes[1] / (classes[1] + 2 * classes[2])
            taken = (0.0, *(k - (k + 1) * y * classes[k + 1] / classes[k] for k in (1, 2, 3)))
            self.discounts[n] = taken
            for gram, count in adjusted[n].items():
                self.totals[n][gram[:-1]] += count
                self.given[n][gram[:-1]] += taken[min(count, 3)]

    def prob(self, history, word):
        """P(word | history): ids, at most order - 1 of history."""
        n = len(history) + 1
        lower = 1 / (len(self.ids) - 1) if n == 1 else self.prob(history[1:], word)
        total = self.totals[n].get(history)
        if not total:
            return lower
        count = self.adjusted[n].get((*history, word), 0)
        taken = self.discounts[n][min(count, 3)]
        return (count - taken) / total + self.given[n][history] / total * lower

    def probs(self, words):
        """The probability of each word of a sentence, and of its end."""
        ids, found = (1,), []
        for word in [*words, "</s>"]:
            number = self.ids.get(word, 0)
            found.append(self.prob(ids[-(self.order - 1) :] if self.order > 1 else (), number))
            # No n-gram has the unknown word here, so that what follows has no history.
            ids = (*ids, number)
        return found
