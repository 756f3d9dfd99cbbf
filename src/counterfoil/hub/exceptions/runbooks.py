"""Which page of docs/runbooks/ is about an exception's reason: what it means, what to do, how to know it is over."""

from __future__ import annotations

from collections.abc import Mapping

FOLDER = "docs/runbooks"
REST = "any-exception"
"""The page for a reason that no other page names, such as a finding of a check of its own."""

_BY_PAGE: Mapping[str, str] = {
    "address-or-version": """bad_address no_json2 no_jsonrpc unknown_api unsupported_version database_missing
        unknown_company no_such_path untested_version""",
    "amounts-differ": "amounts_differ total_differs",
    "appointment-clash": "appointment_clash",
    "article-not-found": """unknown_sku discontinued_sku ambiguous_sku line_without_product not_an_article""",
    "asked": "no_such_operation",
    "bug": """bad_request cannot_be_kept decode_failed interpret_failed no_customer no_fulfilment no_number
        no_product no_state no_stock_level nothing_done operation_failed poll_failed too_deep""",
    "changed-too-late": """changed_after_shipping changed_in_odoo locked_in_odoo cancelled_after_shipping
        shipped_meanwhile shipped_outside not_cancelled""",
    "credentials-refused": "bad_credentials unauthorized login_missing",
    "currency": "unknown_currency no_pricelist currency_differs campaign_currency",
    "customer": "ambiguous_customer account_gone",
    "data-quality": "data_quality",
    "drift": "drift",
    "held-back": "needs_approval",
    "invoice-not-posted": "draft_in_odoo not_posted partly_credited",
    "list-not-trusted": "undated unsorted filter_ignored no_page_count not_a_list",
    "mapping": """unknown_status unmapped_warehouse unmapped_pickup unmapped_pricelist unmapped_staff
        unknown_pricelist no_route mapping_failed""",
    "not-the-owner": "not_the_owner",
    "order-not-enterable": "no_lines bad_quantity negative_total not_an_order not_on_trial",
    "oversold": "oversold",
    "payment": "payment_lost payment_differs payment_not_posted",
    "payment-not-mapped": "unmapped_payment",
    "prescription": "prescription_missing prescription_to_release prescription_gone",
    "product-in-the-shop": """sku_taken gtin_taken several_products shape_differs options_differ linked_elsewhere
        image_not_fetched price_not_kept tax_class_not_kept status_not_kept note_not_kept
        stock_not_managed shared_article""",
    "product-incomplete": """archived campaign_price duplicate_option duplicate_options duplicate_sku no_category
        no_description no_gtin no_image no_name no_options no_price no_sku no_tax_class no_variant_left no_variants
        no_weight not_in_assortment not_sellable""",
    "promises-overdue": "promise_missed",
    "record-gone": """cancelled_in_odoo deleted deleted_in_odoo deleted_in_shop gone not_in_shop not_there
        order_not_in_odoo record_gone""",
    "refund": """refund_pending refund_failed refund_deleted refund_exceeds_order nothing_to_return trial_refund""",
    "refused": """odoo_refused odoo_failed odoo_version_difference refused refused_by_shop gave_up""",
    "reservation-without-order": "reservation_without_order",
    "rights-and-modules": "no_right no_settings module_missing",
    "system-closed": "critical_waits unreachable database_gone down shop_down",
    "tax": "unmapped_tax ambiguous_tax unknown_tax_rate tax_basis_differs",
    "unreadable": """bad_time missing_field no_id no_quantity not_a_record not_expected not_json
        shop_error_body too_large unfit unreadable wrong_shape""",
}
PAGES: Mapping[str, frozenset[str]] = {page: frozenset(reasons.split()) for page, reasons in _BY_PAGE.items()}
"""Each page and the reasons that it is about."""

_OF_REASON = {reason: page for page, reasons in PAGES.items() for reason in reasons}


def name_of(reason: str) -> str:
    """The name of the page about a reason."""
    page = _OF_REASON.get(reason)
    if page is None and reason.startswith("webhook"):
        page = "webhooks-ill"
    if page is None and "." in reason:  # the name of an event: its flow says hub.ask
        page = "asked"
    return page or REST


def page_of(reason: str) -> str:
    """The page about a reason, as a path in the project."""
    return f"{FOLDER}/{name_of(reason)}.md"


def published(declared: str, public_url: str | None) -> str:
    """Below which address pages are read: the one that `notify.runbooks` declares, else the hub's own console, which
    has them all; empty where neither is known."""
    return declared.rstrip("/") or (f"{public_url.rstrip('/')}/console/runbooks" if public_url else "")


def address_of(reason: str, below: str = "") -> str:
    """Where the page is read: below the address at which runbooks are `published`, else its path."""
    return f"{below}/{name_of(reason)}" if below else page_of(reason)
