# pragma version 0.4.3
"""
@title A seller that, while it is paid, asks to be paid again
"""

interface Settlement:
    def withdraw(token: address) -> uint256: nonpayable

settlement: immutable(address)
again: bool


@deploy
def __init__(_settlement: address):
    settlement = _settlement


@external
@payable
def __default__():
    if self.again:
        extcall Settlement(settlement).withdraw(empty(address))


@external
def rob():
    self.again = True
    extcall Settlement(settlement).withdraw(empty(address))


@external
def take():
    self.again = False
    extcall Settlement(settlement).withdraw(empty(address))
