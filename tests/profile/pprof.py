"""Reads what pprof reads: profile.proto, gzipped."""

import gzip


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of a message: numbers, and bytes of what has a length."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            if at + size > len(data):
                raise ValueError("a message is longer than what it is in")
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def numbers(value):
    if isinstance(value, int):
        return [value]
    result, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        result.append(number)
    return result


class Profile:
    """types: [(type, unit)], samples: [([function, the innermost first], [value])]."""

    def __init__(self, packed):
        data = gzip.decompress(packed)
        parts = {}
        for number, value in fields(data):
            parts.setdefault(number, []).append(value)
        texts = [text.decode() for text in parts[6]]
        if texts[0] != "":
            raise ValueError("the first text is not empty")

        def message(value):
            return dict(fields(value))

        self.types = [(texts[m[1]], texts[m[2]]) for m in map(message, parts[1])]
        self.mappings = [{"id": m[1], "start": m[2], "limit": m[3], "file": texts[m[5]],
                          "build_id": texts[m[6]]} for m in map(message, parts[3])]
        functions = {m[1]: texts[m[2]] for m in map(message, parts[5])}
        self.locations = {}
        for value in parts[4]:
            lines = [message(v)[1] for n, v in fields(value) if n == 4]
            own = message(value)
            self.locations[own[1]] = ([functions[f] for f in lines], own.get(2, 0), own[3])
        self.samples = []
        for value in parts.get(2, []):
            stack, values = [], []
            for number, part in fields(value):
                (stack if number == 1 else values).extend(numbers(part))
            names = [name for place in stack for name in self.locations[place][0]]
            self.samples.append((names, values))
        period_type = message(parts[11][0])
        self.period_type = (texts[period_type[1]], texts[period_type[2]])
        self.period = parts[12][0]
        self.time_ns = parts[9][0]
        self.duration_ns = parts[10][0]
        self.default_type = texts[parts[14][0]]
        self.comments = [texts[n] for value in parts.get(13, []) for n in numbers(value)]

    def total(self, kind, function=None):
        column = [name for name, _ in self.types].index(kind)
        return sum(values[column] for names, values in self.samples
                   if function is None or function in names)
