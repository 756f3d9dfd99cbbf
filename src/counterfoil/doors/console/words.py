"""What the console says, in plain English, in one place."""

from __future__ import annotations

# the frame
TODAY = "Today"
COUNTERFOIL = "Counterfoil"
EXCEPTIONS = "Exceptions"
FLOWS = "Flows"
SYSTEMS = "Systems"
BLUEPRINT = "Blueprint"
REPORTS = "Reports"
RUNBOOKS = "Runbooks"
PAGES = "Pages"
SKIP_TO_CONTENT = "Skip to the content"
MENU = "Menu"
SEARCH = "Search for an order, a customer or a payment"
SEARCH_HINT = "Order, e-mail, SKU, payment …"
THEME = "Theme"
THEME_SYSTEM = "As the system"
THEME_LIGHT = "Light"
THEME_DARK = "Dark"
SIGN_OUT = "Sign out"
BACK = "Back to Today"
NO_SCRIPT = (
    "The console's pages need JavaScript. Signing in does not, and `counterfoil` on the command line shows the same."
)

# signing in
SIGN_IN = "Sign in"
SIGN_IN_AT = "Sign in at {name}"
SIGN_OUT_AT = "Sign out at {name} too"
LOGIN = "Name"
PASSWORD = "Password"  # noqa: S105
SESSION_ENDED = "Your session has ended. Sign in again to go on."
SIGNED_OUT = "You are signed out."
NOBODY_YET = "Somebody with a shell on the hub's machine makes the first user: counterfoil users add NAME --role admin"

# what comes between
NOT_ALLOWED = "You may not do this."
NEEDS = "It needs the right {right!r}. An administrator can give you a role that has it."
NOT_THERE = "Not there"
NO_SUCH_PAGE = "There is no page at this address."
FAILED_TITLE = "Something went wrong"
FAILED = "Something went wrong here; nothing is lost. The log has more under the reference {reference}."
STORE_AWAY_TITLE = "The store does not answer"
STORE_AWAY = "The hub's store cannot be reached now. What arrives waits; try again in a moment."
CONSOLE_BUSY = "Another hub of this process serves the console."
NOT_FROM_HERE = "This was not sent from the console's own pages."

# numbers and times
NOTHING_HERE = "Nothing here."
UNKNOWN = "not known"
NEVER = "never"
AGO = "{span} ago"
AHEAD = "in {span}"

# exceptions
EXCEPTIONS_ABOUT = "What waits for a person. What is alike stands together: put one right, then all of them."
NO_EXCEPTIONS = "Nothing waits for a person."
NO_EXCEPTIONS_OF = "Nothing waits for {owner}."
ALL_OWNERS = "Everybody"
OWNER = "Owner"
WHAT = "What"
HOW_MANY = "How many"
OLDEST = "Oldest"
AT_STAKE = "Money at stake"
ABOUT = "About"
SINCE = "Since"
RESPOND = "Answer due"
STATE = "State"
REASON = "Reason"
WHERE = "Where"
ALIKE = "{count} alike"
LIKE_IT = "Like it"
ALIKE_NONE = "None of these is open any more."
ALIKE_ABOUT = "The oldest says:"
SUGGESTED = "What helps"
TECHNICAL = "For an engineer"
TRY_ONE_TITLE = "Try one first"
TRY_ONE_ABOUT = "The oldest is tried once more. If it works, the others will too."
TRY_ONE = "Try the oldest"
TRYING = "Trying {subject} …"
TRIED_WAITS = "{subject} is not through yet: it may wait for its turn. Look again in a moment."
TRIED_WORKED = "It worked: {subject} is through."
TRIED_AGAIN = "The same again: {subject} waits as exception {number}."
ALL_TITLE = "All alike"
ACT = "What to do"
RETRY = "Try again"
RETRY_ABOUT = "what was in the way has been put right"
RESOLVE = "Put right by hand"
RESOLVE_ABOUT = "it stands in the system as it should"
SKIP = "Not wanted"
SKIP_ABOUT = "it is left out for good"
RELEASE = "Let it through"
RELEASE_ABOUT = "what is held back is taken as it is"
NOTE = "Why (kept with your name)"
NOTE_NEEDED = "Say why, so that others can follow it."
DRY_RUN = "Show what would happen"
DO_ALL = "Do it for all {count}"
DO_ONE = "Do it"
WOULD = {
    "retried": "{count} would be tried again, each in its own lane; what waits behind them goes on.",
    "resolved": "{count} would be closed as put right by hand. Nothing is sent; what waits behind them goes on.",
    "skipped": "{count} would be closed as not wanted. Nothing is sent; what waits behind them goes on.",
    "released": "{count} would be taken as they are, and worked on.",
}
DOING = "{done} of {count} …"
DONE = {
    "retried": "{count} are tried again.",
    "resolved": "{count} are closed as put right by hand.",
    "skipped": "{count} are closed as not wanted.",
    "released": "{count} are let through.",
}
CLOSED_BEFORE = "{count} had been closed by somebody else meanwhile."
NOTHING_CHANGED = "Nothing was changed."
FIX_TITLE = "Add the row that is missing"
FIX_ABOUT = "The row goes into the blueprint. Where it needs a second person's word, it waits for that."
FIX_LOOK = "Look at the row"
FIX_PROPOSE = "Propose this row"
FIX_WOULD = "With this row {count} open exceptions would be tried again."
FIX_PROPOSED = "Proposed as change {number}. Once it is in force, {count} exceptions are tried again by themselves."
FIX_THERE = "The blueprint in force has this row already."
CORRECT = "Correct a value"
CORRECT_ABOUT = (
    "It is told in the place of what the source says, until the source says something else. Amounts, quantities and "
    "the currency are changed at the source."
)
CORRECT_LOOK = "Show what would be told"
CORRECT_WOULD = "What would be told"
CORRECT_ONE = "Correct this one and try again"
CORRECT_ALL = "Correct all {count} and try again"
CORRECT_ALIKE = "It fits {count} more like it."
CORRECT_PARTS = {
    "": "The order itself",
    "customer": "Customer",
    "billing": "Billing address",
    "shipping": "Shipping address",
    "lines": "Line",
    "rates": "Tax rates",
    "payments": "Payments",
    "discounts": "Discounts",
    "extra": "Own fields",
}
CORRECTING = "{count} are corrected …"
CORRECTED = "{count} corrected; tried again with the new value."
VALUE = "Value"
SOURCE = "The source says"
TOLD = "Told instead"
SOURCE_SAYS = "The source says {value}"
LINK_TITLE = "It is there already"
LINK_ABOUT = "If {system} has a record of it, say which: it is linked, and tried again."
LINK_ID = "Id at {system}"
LINK = "Link and try again"
ACKNOWLEDGE = "I look after it"
ACKNOWLEDGED = "{who} looks after it since {when}"
ONE = "Exception {number}"
NO_SUCH_EXCEPTION = "There is no exception with this number."
CLOSED_BY = "{status} by {who}"
ALL_ALIKE = "All {count} alike"
NEWER, OLDER = "Previous", "Next"
PAGE_OF = "{first}–{last} of {total}"
HELD = "holds its lane"
STATUS = {
    "open": "open",
    "retried": "tried again",
    "resolved": "put right by hand",
    "skipped": "not wanted",
    "released": "let through",
}

# the blueprint
BLUEPRINT_ABOUT = "What is declared here is what the hub does. Changes that need it wait for a second person."
PENDING = "Changes that wait"
NO_PENDING = "No change waits."
CHANGE = "Change {number}"
PROPOSED = "Proposed"
APPROVED = "Approved"
IN_FORCE = "In force from"
SECTIONS = "Changes"
WHY = "Why"
PARTICULAR = "What differs"
BEFORE = "In force"
AFTER = "Proposed"
APPROVE = "Approve change {number}"
APPROVED_DONE = "Change {number} is approved. It is in force once the hub starts with that blueprint: {command}"
HISTORY = "History"
NO_HISTORY = "No blueprint was in force yet: it is kept when the hub starts with it."
NOTHING_DIFFERS = "Nothing differs from what is in force."
PROPOSE_TITLE = "Propose a change"
PROPOSE_ABOUT = "Nothing that runs changes by it. Secrets stay references: ${NAME} or {file: path}."
PROPOSE_OPEN = "Paste or open a blueprint"
PROPOSE_FILE = "From a file"
PROPOSE_TEXT = "Blueprint in YAML, whole"
PROPOSE_WHY = "Why (kept with your name)"
PROPOSE_LOOK = "Check it"
PROPOSE_DO = "Propose it"
PROPOSE_PROBLEMS = "Problems: {count}. It cannot be proposed like this."
PROPOSE_WARNINGS = "Doubtful: {count}. It can be proposed all the same."
PROPOSE_MORE = "And {count} more."
PROPOSE_FOUND = "Found {found}, expected {expected}."
PROPOSE_WHOLE = "The whole text"
PROPOSE_NEEDS = "It is sound. It changes {sections}, which a second person has to approve."
PROPOSE_NEEDS_NOBODY = "It is sound, and needs nobody's approval."
PROPOSE_TOO_LONG = (
    "That is longer than {most} characters. Propose it with counterfoil blueprint propose, or over the admin API."
)
PROPOSED_DONE = "Change {number} is proposed."
SPECIFICATION = "What the hub does"
MEASURE = "Show what was measured in the last 30 days beside it"
MEASURED = "With what was measured in the last 30 days."
DIAGRAM = "Diagram of the flows"
DIAGRAM_ABOUT = "A thick line and an underlined operation: a person is told when it waits too long."
ON_THIS_PAGE = "On this page"
WAITS_FOR_APPROVAL = "waits for approval"
WAITS_FOR_START = "approved, waits for the hub's start"

# searching, and the counterfoil of one thing
SEARCH_ABOUT = (
    "By order number, e-mail, telephone, SKU, payment or tracking reference, or any system's id. E-mail and telephone "
    "are found whole only, and stay out of the page's address."
)
SEARCH_FOR = "Search for"
SEARCH_DO = "Search"
NOT_FOUND = "Nothing is known by “{text}”."
NOT_FOUND_HINT = "An e-mail address or telephone number must be whole; of a number its beginning is enough."
THINGS = {
    "order": "Orders",
    "customer": "Customers",
    "product": "Products",
    "variant": "Articles",
    "appointment": "Appointments",
}
THING = {
    "order": "Order",
    "customer": "Customer",
    "product": "Product",
    "variant": "Article",
    "appointment": "Appointment",
}
NAME = "Name"
STAGE = "Stage"
KNOWN = "Known of it"
FOUND_BY = "Found by"
FOUND_EXACT = "{why}"
FOUND_BEGINS = "{why} (begins so)"
MORE = "More"
WAITS = "{count} open"
CUSTOMER_OF = "All of this customer"
CASES = "Cases"
CASE = "Case"
MESSAGES = "Messages"
MESSAGE = "Message"
WHEN = "When"
ORDERS_OF = "Orders"
NO_CASES = "No cases."
NO_MESSAGES = "No messages."
LINKS = "Known elsewhere as"
MERGED = "The same as"
FACTS = "What is known"
PICTURE = "The journey as a picture"
TIMELINE = "Timeline"
NO_STEPS = "Nothing has happened yet."
NOW_WAITING = "Waits now"
ATTEMPT = "try {attempt}"
NEXT_PROMISES = "Promised"
PROMISE_DUE = "due {when}"
PROMISE_MISSED = "missed, was due {when}"
CLAIMS = "Stock held for it"
ARTICLE = "Article"
PLACE = "Place"
UNITS = "Units"
ERP_KNOWS = "Known to the ERP"
RESERVATIONS = "Reservations"
OLDER_STEPS = "Older steps"
NEWEST_STEPS = "Newest steps"
SHOW_RECEIPT = "What arrived"
SHOW_EVENT = "Its data"
BODY_PURGED = "The body is purged by the blueprint's retention."
HEADERS = "Headers"
LATE_BY = "late by {span}"
STEP_SAYS = {
    "was": "Said:",
    "becomes": "Told instead:",
    "by": "By",
    "why": "Why:",
    "reason": "Reason:",
    "owner": "Owner:",
    "status": "State:",
    "attempt": "Try",
    "due": "Due",
}
"""What of a step's particulars is said, in which words; the others are for an engineer."""

# today
TODAY_ABOUT = "How it stands; each number leads to its list."
AS_OF = "As of {when}"
ORDERS_IN = "Orders in"
ORDERS_ACCEPTED = "Orders accepted"
LAST_HOUR = "{count} in the last hour"
LATE_NOW = "Past their promise"
OLDEST_SINCE = "the oldest for {span}"
NONE_LATE = "none"
STOCK_UNTOLD = "Stock changes to look at"
STOCK_WAITING = "Stock numbers on their way"
OPEN_NOW = "Open exceptions"
CLASS = "Class"
ONLY_CLASS = "Only the class {outcome}."
BY_OWNER = "Open exceptions by owner"
PROMISES_TODAY = "Promises of the last day"
OPERATION = "Operation"
DONE_COUNT = "Done"
LATE_COUNT = "Late"
SHARE_50, SHARE_95, SHARE_99 = "Half within", "95 % within", "99 % within"
NO_PROMISES = "Nothing with a promise was done in the last day."
HEALTH = "Systems"
HEALTHS = {"well": "well", "ill": "needs a look", "paused": "paused", "down": "down"}
HEALTH_TONES = {"well": "good", "ill": "warn", "paused": "warn", "down": "bad"}
LEFT_OUT = "Not shown: {why}."

# money
MONEY = "Money waiting to be matched"
MONEY_ABOUT = (
    "Payments that a storefront received and refunds that it paid out, and that the ERP has not booked yet; the "
    "longest wait first. Each leads to its order, and to what holds it up."
)
MONEY_NOT = (
    "Not here: bank statements and payouts of payment providers. Nothing reads them yet, so nothing is known of "
    "whether money that is booked has arrived. Amounts of different currencies are never added up."
)
MONEY_KINDS = {"payment": "Payments", "refund": "Refunds"}
MONEY_KIND = {"payment": "Payment", "refund": "Refund"}
MONEY_STATES = {"waiting": "waits", "retried": "tried again", "held": "held", "exception": "exception"}
MONEY_TONES = {"retried": "warn", "held": "warn", "exception": "bad"}
MONEY_SHOWN = "Only {what}."
MONEY_MORE = "More waits than is looked at: the sums are at least so much."
NO_MONEY = "No payment and no refund waits to be booked."
NONE_OF_THIS_MONEY = "None of these waits."
KIND = "Kind"
AMOUNT = "Amount"
ORDER = "Order"
PAID_BY = "Method and reference"
WAITS_AT = "Waits at"

# flows
FLOWS_ABOUT = (
    "What waits where, how fast it goes, and what stands in its way. Pausing loses nothing: what waits keeps its order."
)
NO_FLOWS = "Nothing is done and nothing waits."
LANE = "System and stream"
DEPTH = "Waiting"
HELD_COUNT = "Held"
RETRIED = "Retried"
RATE = "A minute"
FAILED_COUNT = "Failed"
OLDEST_AGE = "Oldest"
STATES_RUNS = "runs"
STATES_PAUSED = "paused"
STATES_CLOSED = "not called"
PAUSED_BY = "Paused by {who} since {when}"
PAUSE_TITLE = "Pause, resume or drain"
PAUSE_ABOUT = (
    "Draining does now what waits there for its next try. A pause, the breaker, limits, posting windows and what a "
    "person has to see hold still."
)
PAUSE_WHAT = "What"
PAUSE = "Pause"
RESUME = "Resume"
PAUSE_WHY = "Why"
PAUSED_DONE = "{name} is paused. {count} calls are still out; nothing new begins."
RESUMED = "{name} goes on."
DRAIN = "Drain"
DRAIN_RESUMES = "Draining ends a pause by this name too"
DRAINED = "{name}: what waits for its next try is due now. Deliveries that wait there: {count}."
DRAINS = "Drains of the last day"
DRAIN_STATES = {"empty": "nothing is left", "going": "goes on", "still": "stands still"}
DRAIN_TONES = {"empty": "good", "going": "", "still": "warn"}
PROGRESS = "Progress"
DONE_OF = "{done} of {total}"
FAILED_TRIES = "Failed tries"
WHAT_WAITS = "What is left"
UNTIL = "until"
ALL_STREAMS = "{system}: all that is done there"
ONE_STREAM = "{system}: {stream} ({operations})"
DECODING = "{system}: what is made of what it told"
ONLY_STREAM = "Only the stream {stream}."
SHOW_ALL = "Show all"
REPLAY_TITLE = "Replay"
REPLAY_ABOUT = "Give events of the past to today's flows once more. What stands already is left as it is."
REPLAY_SUBJECT = "About one thing (such as web-eu:order:1001)"
REPLAY_SYSTEM = "Only what is done at"
REPLAY_ANY = "Any system"
REPLAY_SINCE = "Recorded from"
REPLAY_UNTIL = "Recorded before"
REPLAY_NEWEST = "Of each type only the newest event about a thing"
REPLAY_DO = "Replay them ({count})"
REPLAY_WOULD = "Events: {events}. Deliveries to come: {deliveries}. Still on their way and left alone: {unfinished}."
REPLAY_NONE = "No event of the past fits that: nothing would be done."
REPLAY_BEGUN = "Replay {number} has begun. What it queues is carried out as everything else."
REPLAY_RATE = "At most so many deliveries a minute (empty: at once)"
REPLAY_NO_RATE = "A rate is a number of deliveries a minute."
REPLAYS = "Replays"
REPLAY_STATES = {"running": "runs", "stopped": "stopped", "done": "done", "failed": "failed"}
REPLAY_TONES = {"running": "", "stopped": "warn", "done": "good", "failed": "bad"}
REPLAY_WAITS = "waits for a hub in the role schedule"
REPLAY_ACT = "To do"
REPLAY_STOP = "Stop"
REPLAY_GO_ON = "Go on"
REPLAY_STOPPED = "Replay {number} is stopped: nothing more is queued."
REPLAY_GOES_ON = "Replay {number} goes on where it was."
REPLAY_STOPPED_BY = "by {who}"
REPLAY_NARROW = "That would be everything. Say which: a thing, a system or a time."
REPLAY_BY = "What it would be"

# systems
SYSTEMS_ABOUT = "Whether each can be called, what it told when, and what its care found."
CONNECTOR = "Connector"
LAST_POLL = "Changes seen until"
LAST_WEBHOOK = "Last webhook"
NO_WEBHOOK = "none is kept"
POLL_LATE = "late"
BREAKER = "Not called"
AGAIN_WHEN = "Tried again"
LIMITS = "Limits"
PROBLEMS = "What waits for a person"
NO_PROBLEMS = "Nothing."
REMEDY = "What helps"
CREDENTIALS = "Credentials"
SINCE_AT_LEAST = "the same for at least {span}"
NO_CREDENTIALS = "It has none."
FEED = "Feed"
FEEDS = "What is polled"
NO_FEEDS = "Nothing is polled there."
NO_SUCH_SYSTEM = "The blueprint has no system of this name."
VERSIONS = "Versions"
VERSION = "Version"
NO_VERSIONS = "It has not told which version it is."
SINCE_AT_LEAST_THEN = "at least "
VERSION_BEFORE = "Before"
WAS_UNTIL = "{version} until "
TESTED_WITH = "Tested with"
NOT_TESTED = "not tested"
TOLD_LAST = "Told last"
DOCTOR = "What the doctor found"
DOCTOR_ABOUT = "Rights, settings, webhooks, clocks: looked at once a day, and when somebody asks. Nothing is changed."
NOT_EXAMINED = "The doctor has not looked at it yet."
LOOK_NOW = "Look now"
LOOKED = "The doctor has looked at {name}: {ill} of {count} findings need somebody."
LOOKED_AT = "Looked at"
CHECK = "Check"
FINDING = "Found"
MARKS = {"ok": "well", "warning": "look at it", "failed": "failed"}
MARK_TONES = {"ok": "good", "warning": "warn", "failed": "bad"}
CARED = "Webhooks and what else its care looks after"
CARED_ABOUT = "Looked after every few minutes, and put right where it can be."
NOT_CARED = "Nothing there needs care."

# reports
REPORTS_ABOUT = (
    "The last days in figures. The same, row by row, are the SQL views report_orders, report_promises and "
    "report_exceptions."
)
DAYS = "Days"
DAYS_OF = "The last {days} days"
THROUGHPUT = "Throughput"
DAY = "Day"
SYSTEM = "System"
COLUMNS = {
    "placed": "Placed",
    "accepted": "Accepted",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
    "dispatched": "Dispatched",
}
PROMISES = "How promises were kept"
PROMISED_COUNT = "Promised"
CAUSES = "Exceptions by cause"
OPENED = "Opened"
STILL_OPEN = "Open still"
NO_ROWS = "Nothing in this time."
AS_FORMAT = {"csv": "As CSV", "parquet": "As Parquet"}
DRIFT = "Drift audit"
LAST_DAY = "The last day"
FIRST_ROWS = "The first {shown} of {total} rows; all are in the files."

# runbooks
RUNBOOKS_ABOUT = "What an alert or an exception means for the shop, what to do, and how to know that it is over."
RUNBOOK = "Runbook"
ALERT = "Alert"
REASONS = "Reasons of exceptions"
NO_SUCH_GUIDE = "There is no page of this name. All runbooks are listed under Runbooks."
