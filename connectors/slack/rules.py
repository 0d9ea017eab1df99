"""What Slack's refusals mean. They arrive with status 200 and `ok: false`; the code is the word in `error`.

Sources: docs.slack.dev/reference/methods, slackapi/slack-api-specs for the words.
"""

import re

from clew import ErrorMap, Response, Rule, Verdict

ANY = (200, *range(400, 600))
"""The word in `error` counts, whatever the status."""

USER_TOKEN = (
    "Searching needs a user token (xoxp-…) with the scope search:read. Ask the person to add it under User Token "
    "Scopes (https://api.slack.com/apps, OAuth & Permissions), to install the app again, and to store the user token "
    "with: clew auth set slack. Until then use list_channels and read_channel."
)


def classify(response: Response) -> Verdict | None:
    """What rules cannot say: which scope is missing, and that searching is not for bots."""
    error, needed = response.field("error"), _scopes(response, "needed")
    search = response.url.partition("?")[0].endswith("/search.messages")
    if error == "not_allowed_token_type" and search:
        return Verdict("permission", "{provider} lets no bot search messages.", USER_TOKEN)
    if error != "missing_scope" or not needed:
        return None
    if "search:read" in needed:
        return Verdict("permission", "the token may not search at {provider}.", USER_TOKEN)
    held = _scopes(response, "provided")
    return Verdict(
        "permission",
        f"the token lacks a scope at {{provider}}: {needed}.",
        f"Ask the person to add {needed} to the app (https://api.slack.com/apps, OAuth & Permissions), to install the "
        "app again, and to store the new token with: clew auth set slack." + (f" It has: {held}." if held else ""),
    )


def _scopes(response: Response, name: str) -> str:
    value = (response.field(name) or "").strip()
    return value if re.fullmatch(r"[\w:.,| -]{1,300}", value) else ""


ERRORS = ErrorMap(
    hook=classify,
    message=("response_metadata.messages[0]", "error"),
    provider_code=("error",),
    request_id=("x-slack-req-id",),
    rules=(
        Rule(code="rate_limited", status=ANY, codes="ratelimited rate_limited", retry_after=30),
        Rule(code="auth_expired", status=ANY, codes="token_expired"),
        Rule(
            code="auth_revoked",
            status=ANY,
            codes="not_authed invalid_auth token_revoked account_inactive org_login_required app_uninstalled "
            "user_removed_from_team",
        ),
        Rule(
            code="permission",
            status=ANY,
            codes="missing_scope",
            next_step="Ask the person to connect Slack again with the missing scope; `needed` names it.",
        ),
        Rule(
            code="permission",
            status=ANY,
            codes="not_in_channel",
            message="the app is not a member of this {provider} channel.",
            next_step="Ask the person to invite the app to the channel, then call again.",
        ),
        Rule(
            code="permission",
            status=ANY,
            codes="cant_update_message cant_delete_message edit_window_closed",
            message="{provider} lets this account change only its own messages, and those only for a while.",
            next_step="Leave the message as it is, or ask the person who wrote it.",
        ),
        Rule(
            code="permission",
            status=ANY,
            codes="file_uploads_disabled file_uploads_except_images_disabled file_upload_size_restricted "
            "blocked_file_type",
            message="the workspace does not allow this upload at {provider}.",
            next_step="Ask an administrator of the workspace, or post the content as a message.",
        ),
        Rule(code="quota_exhausted", status=ANY, codes="storage_limit_reached message_limit_exceeded"),
        Rule(
            code="permission",
            status=ANY,
            codes="no_permission not_allowed_token_type restricted_action* ekm_access_denied access_denied "
            "enterprise_is_restricted accesslimited "
            "user_is_restricted team_access_not_granted team_added_to_org user_is_bot user_is_ultra_restricted "
            "not_allowed paid_teams_only cannot_dm_bot is_bot messages_tab_disabled slack_connect_* "
            "two_factor_setup_required",
        ),
        Rule(
            code="not_found",
            status=ANY,
            codes="channel_not_found",
            message="{provider} does not know this channel, or hides it from this account.",
            next_step="Take the id (C…) from list_channels, not the name. A private channel shows only once a person "
            "has invited the app to it.",
        ),
        Rule(
            code="not_found",
            status=ANY,
            codes="user_not_found users_not_found message_not_found file_not_found file_deleted "
            "thread_not_found team_not_found bot_not_found no_reaction not_pinned no_item_specified",
        ),
        Rule(
            code="conflict",
            status=ANY,
            codes="is_archived name_taken not_archived channel_type_not_supported too_many_emoji too_many_reactions "
            "cannot_reply_to_message thread_locked",
        ),
        Rule(
            code="invalid_input",
            status=ANY,
            codes="invalid_name",
            message="{provider} does not know this name.",
            next_step="For a reaction give the emoji's name as Slack has it, such as thumbsup or white_check_mark.",
        ),
        Rule(
            code="invalid_input",
            status=ANY,
            codes="invalid_cursor",
            next_step="Pass next_cursor of the previous page unchanged, or no cursor for the first page.",
        ),
        Rule(
            code="already_done",
            status=ANY,
            codes="already_in_channel already_reacted already_pinned already_archived already_starred",
        ),
        Rule(
            code="contract_changed",
            status=ANY,
            codes="method_deprecated deprecated_endpoint upgrade_required unknown_method invalid_post_type "
            "missing_charset superfluous_charset method_not_supported_for_channel_type",
        ),
        Rule(
            code="invalid_input",
            status=ANY,
            codes="invalid_arguments invalid_blocks invalid_blocks_format msg_too_long no_text "
            "time_in_past time_too_far invalid_arg_name invalid_array_arg json_not_object invalid_json "
            "invalid_form_data too_many_attachments invalid_name_* invalid_channel invalid_limit "
            "invalid_ts_latest invalid_ts_oldest "
            "invalid_types duplicate_message_not_found duplicate_channel_not_found missing_post_type bad_timestamp "
            "no_query invalid_users restricted_too_many",
        ),
        # May have been carried out in part.
        Rule(
            code="transient",
            status=ANY,
            codes="fatal_error internal_error request_timeout team_not_ready",
        ),
        Rule(code="provider_down", status=ANY, codes="service_unavailable"),
    ),
)
