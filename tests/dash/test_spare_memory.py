"""What closed pages leave in the C library's reserve is given back, once for many of them."""

import asyncio

from tlab_dash import spare_memory


def test_it_is_given_back_once_for_all_pages_that_are_closed_meanwhile(monkeypatch):
    given, back = [], spare_memory.give_back

    def note():
        back()  # where there is no glibc it does nothing
        given.append(True)

    monkeypatch.setattr(spare_memory, "AFTER", 0.01)
    monkeypatch.setattr(spare_memory, "give_back", note)

    async def close(pages):
        for _ in range(pages):
            spare_memory.give_back_soon()
        for _ in range(200):
            if given and spare_memory._coming_in is None:
                break
            await asyncio.sleep(0.01)

    asyncio.run(close(3))
    assert given == [True]
    asyncio.run(close(1))
    assert given == [True, True]
    spare_memory.give_back_soon()  # where no loop runs, it does nothing
