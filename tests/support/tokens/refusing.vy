# pragma version 0.4.3
"""
@title A token that says no instead of reverting
"""

balanceOf: public(HashMap[address, uint256])


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    return False
