import pytest

from evenkeel.rehearsal.protocol import http

V1_TCP4 = b"PROXY TCP4 192.0.2.7 10.0.0.1 4000 80\r\n"
V1_TCP6 = b"PROXY TCP6 ::1 ::2 1 80\r\n"
V2_TCP4 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
    + bytes([192, 0, 2, 7, 10, 0, 0, 1])
    + bytes([0, 80, 0, 80])
)


def test_reads_a_head_and_leaves_what_follows():
    buffer = bytearray(b"PUT /a HTTP/1.1\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nokrest")
    head = http.take_head(buffer)
    assert head is not None
    assert (head.first_line, head.body_bytes, head.headers["x-a"]) == ("PUT /a HTTP/1.1", 2, "1")
    assert buffer == b"okrest"


def test_waits_for_the_end_of_a_head():
    assert http.take_head(bytearray(b"GET / HTTP/1.1\r\nHost: a\r\n")) is None


@pytest.mark.parametrize("bad", [b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"x" * 300_000])
def test_refuses_what_is_no_head(bad):
    with pytest.raises(http.WireError):
        http.take_head(bytearray(bad))


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        (V1_TCP4, "v1 192.0.2.7"),
        (V2_TCP4, "v2 192.0.2.7"),
        (b"", ""),
    ],
)
def test_tells_by_itself_whether_the_proxy_protocol_is_spoken(sent, found):
    buffer = bytearray(sent + b"GET / HTTP/1.1\r\n\r\n")
    assert http.take_proxy_header(buffer) == found
    assert buffer == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("whole", [V2_TCP4, V1_TCP6])
def test_waits_for_the_whole_proxy_header(whole):
    for length in range(1, len(whole) - 1):
        assert http.take_proxy_header(bytearray(whole[:length])) is None


def test_an_ipv6_endpoint_is_written_with_brackets():
    assert http.endpoint_of("fd00::1", 80) == "[fd00::1]:80"
