"""What can be wrong with the key, and with how keys are checked."""

from app.doctor.catalogue.trouble import fault, warning

CREDENTIALS = {
    "key_empty": fault("There is no key.", "Set VLLM_API_KEY to a key of this gateway."),
    "key_quoted": fault(
        "The key has quotes around it, which count as part of it.",
        "Set VLLM_API_KEY without them; cmd.exe's `set` keeps quotes.",
    ),
    "key_line_end": fault(
        "The key has a line end before or behind it, with which OpenCode cannot read its configuration.",
        "Set VLLM_API_KEY by `$(cat FILE)`, which drops it, or write the file without one.",
    ),
    "key_blank": warning(
        "The key has a blank before or behind it.",
        "Set VLLM_API_KEY without it: not every client cuts it off.",
    ),
    "key_malformed": fault(
        "The key holds blanks, line ends or characters that no header can carry.",
        "Copy the key again, in one piece.",
    ),
    "key_placeholder": fault(
        "What was given is the place of a key, not a key.",
        "Put the key itself there, without `Bearer`; a shell fills in no variables between single quotes.",
    ),
    "key_is_token": fault(
        "What was given is a signed identity token, such as Google's, not a key of the gateway.",
        "Set VLLM_API_KEY to a key, and give the token, if IAM is on, by --identity-token.",
    ),
    "key_incomplete": fault(
        "The key is not whole: its last characters do not fit the others.",
        "Copy the key again, in one piece.",
    ),
    "open": fault(
        "Requests without a key are answered.",
        "Take the key out of the proxy in front, which adds it to every request, and change that key.",
    ),
    "any_key": fault(
        "A made-up key is accepted.",
        "Take the key out of the proxy in front, which sends it in the place of others, and change that key.",
    ),
    "refusal_retried": fault(
        "A wrong key is refused with a text ({reason}) that makes OpenCode try again and again.",
        "Let the proxy in front pass the gateway's own 401 on as it is.",
    ),
    "refusal_unreadable": fault(
        "A wrong key is refused in a way that clients cannot show (status {status}, {kind}).",
        "Let the proxy in front pass the gateway's own 401 on as it is.",
    ),
    "key_refused": fault(
        "The gateway does not know this key, or it is expired or disabled.",
        "See `flask --app wsgi keys list` where the keys are, and reload the gateway's keys after a change.",
    ),
    "key_scope": fault(
        "The key may not be used for inference.",
        "Make one that may: `flask --app wsgi keys add --name NAME --scope inference`.",
    ),
    "ambiguous": fault(
        "Two keys of different names reach the gateway, though one was sent.",
        "Take the key out of the proxy in front, which adds a header of its own.",
    ),
    "x_api_key_lost": warning(
        "The key is accepted as a Bearer token, but not in X-API-Key.",
        "Let the proxy in front pass X-API-Key on.",
    ),
    "bearer_refused": fault(
        "The key is accepted in X-API-Key, but not as a Bearer token, which is all that SDKs send.",
        "Let the proxy in front pass Authorization on as it is.",
    ),
    "bearer_replaced": fault(
        "In the place of the key, a signed identity token reaches the gateway in Authorization.",
        "Let the front send its token in X-Serverless-Authorization, or have clients use X-API-Key alone.",
    ),
}
