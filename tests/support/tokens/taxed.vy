# pragma version 0.4.3
"""
@title A token that keeps a part of every transfer
"""

balanceOf: public(HashMap[address, uint256])


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    self.balanceOf[to] += amount - 1
    return True
