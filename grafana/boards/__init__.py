"""The dashboards, from what the owner asks to what keeps the books: at most fifteen panels each."""

from grafana.boards.earning import CUSTOMERS, ECONOMICS, MARGIN
from grafana.boards.keeping import LEDGER, PRICES, SERVICE
from grafana.boards.serving import CACHING, CREDITS, ROUTING

BOARDS = (MARGIN, CUSTOMERS, ROUTING, CACHING, CREDITS, ECONOMICS, PRICES, SERVICE, LEDGER)
