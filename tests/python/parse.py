# Line protocol on standard input; for each line an object of JSON on standard output: the point, or
# why it was refused.
import json
import sys

from line_protocol_parser import LineFormatError, parse_line

for line in sys.stdin.buffer.read().split(b"\n")[:-1]:
    try:
        answer = parse_line(line.decode())
    except LineFormatError as error:
        answer = {"refused": str(error)}
    print(json.dumps(answer))
