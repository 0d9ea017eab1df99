"""nginx as Debian ships it, with a configuration of the test's own.

`CLEW_TEST_NGINX` names the program, else it is looked for where systems put it.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

NGINX = os.environ.get("CLEW_TEST_NGINX") or shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
marks = [
    pytest.mark.anyio,
    pytest.mark.testbed,
    pytest.mark.skipif(not NGINX, reason="no nginx: install Debian's, or set CLEW_TEST_NGINX"),
]
_FRAME = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {said}
}}
"""


@contextlib.asynccontextmanager
async def nginx(folder: Path, said: str, *, port: int) -> AsyncGenerator[None]:
    """Run it with this inside of `http { … }` until the end; it has to listen on `port`."""
    file = folder / "nginx.conf"
    file.write_text(_FRAME.format(folder=folder, said=said))
    assert NGINX
    process = await asyncio.create_subprocess_exec(
        NGINX, "-c", str(file), "-p", str(folder), "-e", str(folder / "error.log"), stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                assert process.returncode is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.02)
        yield
    finally:
        process.terminate()
        await process.wait()
