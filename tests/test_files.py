"Files are written completely or not at all, with the permissions of any new file; pictures for a page are small."
import io, os
import pytest, torch
from PIL import Image
from camtutor.files import dated, smaller, write_whole
from camtutor.show import to_jpeg

def test_all_of_it(tmp_path):
    write_whole(tmp_path/'a', 'grün\n', b'\r\n', memoryview(b'xyz'))
    assert (tmp_path/'a').read_bytes() == 'grün\n\r\nxyz'.encode()
    write_whole(tmp_path/'a', 'x', lambda f: f.write(b'yz'))
    assert (tmp_path/'a').read_text() == 'xyz'
    write_whole(str(tmp_path/'a'), 'new')
    assert (tmp_path/'a').read_text() == 'new' and [p.name for p in tmp_path.iterdir()] == ['a']

@pytest.mark.parametrize('mask, mode', [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_are_those_of_any_new_file(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_whole(tmp_path/'a', 'x')
        (tmp_path/'b').write_text('x')
    finally: os.umask(before)
    assert (tmp_path/'a').stat().st_mode == (tmp_path/'b').stat().st_mode
    if os.name == 'posix': assert (tmp_path/'a').stat().st_mode & 0o777 == mode

@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    (tmp_path/'a').write_text('old')
    def stop(*args): raise KeyboardInterrupt
    monkeypatch.setattr(os, step, stop)
    with pytest.raises(KeyboardInterrupt): write_whole(tmp_path/'a', 'new')
    assert (tmp_path/'a').read_text() == 'old' and [p.name for p in tmp_path.iterdir()] == ['a']

def test_a_dated_name_is_free(tmp_path):
    names = []
    for _ in range(4):
        names.append(dated(tmp_path/'note.json'))
        names[-1].touch()
    assert len(set(names)) == 4 and all(n.name.startswith('note-2') and n.suffix == '.json' for n in names)

@pytest.mark.parametrize('shape, want', [((40, 60), (45, 30)), ((20, 20), (20, 20)), ((40, 400), (120, 12))])
def test_a_smaller_picture_keeps_its_shape(shape, want):
    "(width, height); one that is small already stays as it is, a panorama is at most four times as wide as high."
    made = Image.open(io.BytesIO(smaller(to_jpeg(torch.full((3, *shape), .5)), 30)))
    assert made.format == 'JPEG' and made.size == want
