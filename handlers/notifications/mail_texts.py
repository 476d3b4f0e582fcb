"""What mails say: plain text, one language. Facts are put in as they are; no text is taken from a stranger's input."""

from dataclasses import dataclass

from protocols.notifications.mails import MailText


@dataclass(frozen=True, slots=True)
class Text:
    """Subject and body with gaps for facts."""

    subject: str
    body: str


MAIL_TEXTS: dict[MailText, Text] = {
    "verify_email": Text(
        "Confirm your address",
        "Please confirm that this is your address:\n\n{url}/verify-email#token={token}\n\n"
        "The link is good for 24 hours. If you did not make an account at {url}, ignore this mail.\n",
    ),
    "reset_password": Text(
        "Choose a new password",
        "Somebody, perhaps you, asked for a new password at {url}. Choose one here:\n\n"
        "{url}/reset-password#token={token}\n\n"
        "The link is good for 10 minutes, once. If it was not you, ignore this mail: your password stays.\n",
    ),
    "password_changed": Text(
        "Your password was changed",
        "The password of your account at {url} was changed, from the address {address}.\n\n"
        "If it was not you, choose a new password at once: {url}/reset-password\n",
    ),
    "confirm_email": Text(
        "Confirm your new address",
        "Please confirm that this shall be the address of your account at {url}:\n\n"
        "{url}/verify-email#token={token}\n\n"
        "The link is good for 24 hours. If you did not ask for it, ignore this mail.\n",
    ),
    "email_change_begun": Text(
        "Your address is about to change",
        "Somebody who knows your password asked to change the address of your account at {url} to {email}.\n\n"
        "If it was not you, choose a new password at once: {url}/reset-password\n",
    ),
    "email_changed": Text(
        "Your address was changed",
        "The address of your account at {url} is now {email}. This one is not used any more.\n\n"
        "If it was not you, write to support.\n",
    ),
    "new_device": Text(
        "Somebody signed in on a new device",
        "Your account at {url} was signed in to on a device that it did not know, from the address {address}.\n\n"
        "If it was not you, choose a new password at once: {url}/reset-password\n",
    ),
    "provider_linked": Text(
        "Your account can be signed in to by {provider}",
        "Somebody who was signed in to your account at {url} linked it to an account of theirs at {provider}, from the "
        "address {address}. That account signs in to yours from now on, whatever your password is.\n\n"
        "If it was not you, unlink it in your account's settings, and choose a new password: {url}/reset-password\n",
    ),
    "factor_added": Text(
        "Signing in needs a code from now on",
        "An authenticator app was added to your account at {url}, from the address {address}. Whoever signs in shows "
        "its code, too.\n\nIf it was not you, write to support.\n",
    ),
    "factor_removed": Text(
        "Signing in needs no code any more",
        "The authenticator app of your account at {url} was removed, from the address {address}. The password, or a "
        "provider, is enough to sign in.\n\n"
        "If it was not you, choose a new password at once: {url}/reset-password\n",
    ),
}
