"""What the router says: a few fixed sentences, each one token, so that an answer costs one step."""

FOUND = "Here is what I found."
CLOSE = "These come close."
SUITS = "These should suit you."
FITS_LIST = "These would go well with your items."
IN_PICTURE = "These are like what is in your picture."
OPENED = "Here is your board."
SAVED = "Saved to your board."
NOT_SAVED = "I could not save that."
EMPTY_BOARD = "That board is empty."
UNKNOWN_TASTE = "I do not know your taste yet. What are you looking for?"
FAILED = "That did not work. Can you say it in another way?"
WHOLE_LISTS = "I can only save whole lists."
NO_BOARD = "I found no board of yours by that name."
NOTHING_FITS = "I found nothing that fits."
HELLO = "Hello! What are you looking for?"
WELCOME = "You are welcome."
GOODBYE = "Goodbye!"
ABILITIES = (
    "Ask me for items, for more like one of them, for ideas to your taste, for what goes with "
    "a board, or for what is in a picture of yours."
)
OUT_OF_SCOPE = "I can only help you find things in this catalogue."
NO_LIST = "I have not shown you anything yet. What are you looking for?"

SENTENCES = (
    FOUND,
    CLOSE,
    SUITS,
    FITS_LIST,
    IN_PICTURE,
    OPENED,
    SAVED,
    NOT_SAVED,
    EMPTY_BOARD,
    UNKNOWN_TASTE,
    FAILED,
    WHOLE_LISTS,
    NO_BOARD,
    NOTHING_FITS,
    HELLO,
    WELCOME,
    GOODBYE,
    ABILITIES,
    OUT_OF_SCOPE,
    NO_LIST,
)
