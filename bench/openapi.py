"""What it costs to make a connector of a large OpenAPI description: seconds and memory, in a fresh process each time.

python bench/openapi.py api.github.com.json [more.json …]
"""

import json
import subprocess
import sys

_MEASURE = """
import json, resource, sys, time
begun = time.perf_counter()
from clew.servers.descriptions.live import open_api
imported = time.perf_counter()
connector = open_api(sys.argv[1])
opened = time.perf_counter()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = [len(json.dumps(tool.signature.input_schema)) // 4 for tool in list(connector.tools.values())[::10]]
print(json.dumps([imported - begun, opened - imported, memory / (1024 if sys.platform != "darwin" else 1024**2),
    len(connector.tools), sorted(size)[len(size) // 2]]))
"""
RUNS = 5


def main(paths: list[str]) -> None:
    """Print one row for each description: the best of several runs."""
    print("| description | tools | imports, s | reading, s | whole process, MB | input schema, median tokens |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in paths:
        runs = [
            json.loads(subprocess.run([sys.executable, "-c", _MEASURE, path], capture_output=True, check=True).stdout)
            for _ in range(RUNS)
        ]
        imports, reading, memory, tools, tokens = min(runs, key=lambda run: run[1])
        print(f"| {path.rpartition('/')[2]} | {tools} | {imports:.2f} | {reading:.2f} | {memory:.0f} | {tokens} |")


if __name__ == "__main__":
    main(sys.argv[1:])
