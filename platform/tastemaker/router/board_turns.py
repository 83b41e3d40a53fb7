"""Turns about boards and pictures: completed, opened, saved, shopped."""

from tastemaker.router import kinds, sentences
from tastemaker.router.draft import Draft, Rows
from tastemaker.router.tools import BOARD_GET, BOARD_SAVE, COMPLETE, SHOP_ROOM

_QUIET_FRAC = 0.1  # of pictures come without a word

_ONE_FRAC = 0.15  # of lists to be saved: one item of it is asked for, which no tool does


class BoardTurns:
    """Writes such turns.

    Args:
        draft: The dialogue.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft, self.rng = draft, draft.rng

    def bring(self) -> None:
        """A board that the user brings: completed, or more like one of its items."""
        draft, rows = self.draft, self._board()
        draft.searched = None
        if self.rng.random() < 0.25:
            place, it = draft.place(len(rows))
            draft.say(draft.words.draw("similar", it=it), rows)
            return draft.like(f"@{draft.last}#{place}", rows[place - 1], kinds.BY_PLACE)
        text, query = self._completion("board")
        draft.say(text, rows)
        self._complete(draft.last, query)

    def complete_shown(self) -> None:
        """What goes with the items last shown."""
        text, query = self._completion("complete")
        self.draft.say(text)
        self._complete(self.draft.last, query)

    def open(self) -> None:
        """One of the user's boards, sometimes completed at once."""
        draft, title = self.draft, self._title()
        then, query = self.rng.random() < 0.3, ""
        if then and self.rng.random() < 0.5:
            query, _, _ = draft.phrases.draw()
            article = draft.article(query)
            text = draft.words.draw("open_complete_np", title=title, np=query, a=article)
        else:
            text = draft.words.draw("open_complete" if then else "open", title=title)
        draft.say(text)
        title = _bare(title)
        empty = f"board '{title}' is empty"
        shown = draft.call(BOARD_GET, {"title": title}, kinds.OPENED, self._board(), empty)
        draft.searched = None
        if then and shown:
            self._complete(shown, query, kinds.SECOND)
        else:
            draft.show(sentences.OPENED, shown, sentences.EMPTY_BOARD)

    def save(self) -> None:
        """The items last shown, onto a board."""
        draft, title = self.draft, self._title()
        if self.rng.random() < _ONE_FRAC:
            _, it = draft.place(len(draft.lists[draft.last]))
            draft.say(draft.words.draw("save", it=it, title=title))
            return draft.answer(sentences.WHOLE_LISTS, 0, kinds.TALK)
        it = draft.words.draw("lists")
        draft.say(draft.words.draw("save", it=it, title=title))
        self.saved(draft.last, title, kinds.SAVED)

    def then_save(self, text: str) -> str:
        """A request that goes on: "... and save them to my garden board"; returns the title."""
        draft, title = self.draft, self._title()
        it = self.rng.choice(("them", "these", "the results"))
        wish = draft.words.draw("save", it=it, title=title)
        draft.say(f"{text} {draft.words.draw('then')} {wish}")
        return title

    def saved(self, number: int, title: str, kind: str) -> None:
        """The call that saves a list, and the answer."""
        draft, title = self.draft, _bare(title)
        told = f"saved: board '{title}' has {self.rng.randint(1, 60)} items"
        draft.call(BOARD_SAVE, {"title": title, "items": f"@{number}"}, kind, (), told)
        if draft.over:
            return draft.show("", 0)
        draft.answer(sentences.SAVED, 0)

    def picture(self) -> None:
        """The user's own picture: what is in it, or items like it."""
        draft = self.draft
        many = self.rng.random() < 0.12
        rows = tuple(draft.any_row() for _ in range(self.rng.choice((2, 2, 3)) if many else 1))
        draft.searched = None
        if many:
            place = self.rng.randint(1, len(rows))
            nth = draft.words.lists["ordinals"][place - 1]
            draft.say(draft.words.draw("rooms_nth", nth=nth), rows)
            draft.picture = 0  # "the photo" names none of several
            return self._shop(f"@{draft.last}#{place}")
        if self.rng.random() < 0.55:
            text, query = self._room()
            draft.say(text, rows)
            draft.picture = draft.last
            return self._shop(f"@{draft.last}#1", query)
        change = draft.change() if self.rng.random() < 0.3 else ""
        text = draft.words.draw("picture_changed" if change else "picture", change=change)
        draft.say("" if not change and self.rng.random() < _QUIET_FRAC else text, rows)
        draft.picture = draft.last
        draft.like(f"@{draft.last}#1", rows[0], kinds.PICTURE, change)

    def picture_again(self) -> None:
        """What is in a picture that the user brought earlier."""
        text, query = self._room()
        self.draft.say(text)
        self._shop(f"@{self.draft.picture}#1", query)

    def nothing(self) -> str:
        """How somebody asks about items or a picture where there are none."""
        draft, draw = self.draft, self.rng.random()
        if draw < 0.4:
            return draft.words.draw("save", it=draft.words.draw("lists"), title=self._title())
        return self._completion("complete")[0] if draw < 0.75 else self._room()[0]

    def _completion(self, name: str) -> tuple[str, str]:
        """How completing is asked for, and the query that it holds."""
        draft, draw = self.draft, self.rng.random()
        if draw < 0.45:
            return draft.words.draw(name), ""
        if draw < 0.6:
            change = draft.change()
            return draft.words.draw("complete_changed", change=change), change
        phrase, _, _ = draft.phrases.draw()
        return draft.words.draw(f"{name}_np", np=phrase, a=draft.article(phrase)), phrase

    def _room(self) -> tuple[str, str]:
        if self.rng.random() < 0.6:
            return self.draft.words.draw("rooms"), ""
        phrase, _, _ = self.draft.phrases.draw()
        return self.draft.words.draw("rooms_np", np=phrase), phrase

    def _complete(self, number: int, query: str, kind: str = kinds.BOARD) -> None:
        draft = self.draft
        arguments = {"items": f"@{number}"} | ({"query": query} if query else {})
        near = draft.near(self.rng.choice(draft.lists[number]))
        draft.searched = None
        draft.show(sentences.FITS_LIST, draft.call(COMPLETE, arguments, kind, near))

    def _shop(self, item: str, query: str = "") -> None:
        draft = self.draft
        arguments = {"item": item} | ({"query": query} if query else {})
        draft.searched = None
        found = draft.near(draft.any_row())
        draft.show(sentences.IN_PICTURE, draft.call(SHOP_ROOM, arguments, kinds.ROOM, found))

    def _board(self) -> Rows:
        boards = self.draft.stock.boards.get(self.draft.split) or ()
        return self.rng.choice(boards) if boards else self.draft.near(self.draft.any_row())

    def _title(self) -> str:
        """A board's title as it is said, sometimes in quotes."""
        phrases, rng = self.draft.phrases, self.rng
        for _ in range(50):
            n, w, v = str(rng.randint(1, 30)), phrases.word(), phrases.word()
            title = self.draft.words.draw("titles", w=w, v=v, n=n)
            if phrases.bounded(title):
                break
        quote = rng.choice(('"', '"', "'"))
        return f"{quote} {title} {quote}" if rng.random() < 0.2 else title


def _bare(title: str) -> str:
    return title.strip("\"' ")
