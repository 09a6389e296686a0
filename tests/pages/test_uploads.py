"""What a session can make the web server keep, by files that it uploads."""

import asyncio
from types import SimpleNamespace

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from twolayer.dashboard.common import uploads


def test_of_many_files_of_a_session_the_newest_are_kept_and_those_of_others_stay(monkeypatch):
    manager = MemoryUploadedFileManager("/_stcore/upload_file")
    monkeypatch.setattr(uploads, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))

    async def app(scope, _receive, _send):
        session, file = scope["path"].split("/")[-2:]
        manager.add_file(session, UploadedFileRec(file, "f.csv", "text/csv", b"1"))

    def put(session: str, file: str, base: str = "") -> None:
        path = f"{base}/_stcore/upload_file/{session}/{file}"
        scope = {"type": "http", "method": "PUT", "path": path}
        asyncio.run(uploads.Uploads(app)(scope, None, None))

    put("other", "first")
    for number in range(20):
        put("one", str(number), "/base" if number % 2 else "")
    newest = [str(number) for number in range(20 - uploads.MOST_FILES, 20)]
    assert list(manager.file_storage["one"]) == newest
    assert list(manager.file_storage["other"]) == ["first"]
