# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Payment of an order on hand-over
@notice A buyer puts money aside for an order, as a deal with a number (nonce) of its own. It is shared out once: as
    the traveller and the buyer both signed at the hand-over, or as the arbiter signed; what neither seller nor
    traveller gets is the buyer's. After the deadline the buyer gets all of it back. Shares are credited and withdrawn
    by their owners, so nobody's refusal to be paid holds up the others. The zero address stands for the chain's own
    coin, any other for an ERC-20 token.
"""

from ethereum.ercs import IERC20

event Funded:
    order: indexed(bytes32)
    nonce: indexed(uint256)
    buyer: indexed(address)
    token: address
    amount: uint256

event Settled:
    nonce: indexed(uint256)
    seller_amount: uint256
    traveller_amount: uint256
    buyer_amount: uint256
    by_arbiter: bool

event Refunded:
    nonce: indexed(uint256)
    buyer_amount: uint256

event Withdrawn:
    owner: indexed(address)
    token: indexed(address)
    amount: uint256

struct Deal:
    buyer: address
    seller: address
    traveller: address
    token: address
    order: bytes32
    item_hash: bytes32
    amount: uint256
    deadline: uint256
    open: bool

HANDOVER: constant(bytes32) = keccak256(
    "Handover(bytes32 order,bytes32 itemHash,uint256 nonce,uint256 sellerAmount,uint256 travellerAmount)"
)
RULING: constant(bytes32) = keccak256(
    "Ruling(bytes32 order,bytes32 itemHash,uint256 nonce,uint256 sellerAmount,uint256 travellerAmount)"
)
DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)

arbiter: public(immutable(address))
deals: public(HashMap[uint256, Deal])
nonces: public(uint256)
balances: public(HashMap[address, HashMap[address, uint256]])


@deploy
def __init__(_arbiter: address):
    assert _arbiter != empty(address), "no arbiter"
    arbiter = _arbiter


@external
@payable
@nonreentrant
def fund(
    order: bytes32,
    item_hash: bytes32,
    seller: address,
    traveller: address,
    token: address,
    amount: uint256,
    deadline: uint256,
) -> uint256:
    """
    @notice Put money aside for an order. What is signed at the hand-over names the nonce that is returned.
    """
    assert seller != empty(address) and traveller != empty(address), "no payee"
    assert traveller != msg.sender, "one person on both sides"
    assert amount > 0, "no money"
    assert deadline > block.timestamp, "deadline has passed"
    self.nonces += 1
    nonce: uint256 = self.nonces
    self.deals[nonce] = Deal(
        buyer=msg.sender,
        seller=seller,
        traveller=traveller,
        token=token,
        order=order,
        item_hash=item_hash,
        amount=amount,
        deadline=deadline,
        open=True,
    )
    if token == empty(address):
        assert msg.value == amount, "other amount sent"
    else:
        assert msg.value == 0, "coin sent for a token"
        self._pull(token, amount)
    log Funded(order=order, nonce=nonce, buyer=msg.sender, token=token, amount=amount)
    return nonce


@external
@nonreentrant
def settle(
    nonce: uint256,
    seller_amount: uint256,
    traveller_amount: uint256,
    traveller_signature: Bytes[65],
    buyer_signature: Bytes[65],
):
    """
    @notice Share the money out as both sides of the hand-over signed. Anybody may bring the signatures.
    """
    deal: Deal = self._open_deal(nonce)
    digest: bytes32 = self._digest(HANDOVER, nonce, deal, seller_amount, traveller_amount)
    assert self._signer(digest, traveller_signature) == deal.traveller, "not signed by the traveller"
    assert self._signer(digest, buyer_signature) == deal.buyer, "not signed by the buyer"
    self._share(nonce, deal, seller_amount, traveller_amount, False)


@external
@nonreentrant
def rule(nonce: uint256, seller_amount: uint256, traveller_amount: uint256, signature: Bytes[65]):
    """
    @notice Share the money out as the arbiter signed, before the deadline or after it.
    """
    deal: Deal = self._open_deal(nonce)
    digest: bytes32 = self._digest(RULING, nonce, deal, seller_amount, traveller_amount)
    assert self._signer(digest, signature) == arbiter, "not signed by the arbiter"
    self._share(nonce, deal, seller_amount, traveller_amount, True)


@external
@nonreentrant
def refund(nonce: uint256):
    """
    @notice Give the buyer all money back after the deadline. Anybody may ask for it.
    """
    deal: Deal = self._open_deal(nonce)
    assert block.timestamp > deal.deadline, "before the deadline"
    self.deals[nonce].open = False
    self.balances[deal.token][deal.buyer] += deal.amount
    log Refunded(nonce=nonce, buyer_amount=deal.amount)


@external
@nonreentrant
def withdraw(token: address) -> uint256:
    """
    @notice Take out what is credited to the caller.
    """
    amount: uint256 = self.balances[token][msg.sender]
    assert amount > 0, "nothing to withdraw"
    self.balances[token][msg.sender] = 0
    log Withdrawn(owner=msg.sender, token=token, amount=amount)
    if token == empty(address):
        raw_call(msg.sender, b"", value=amount)
    else:
        assert extcall IERC20(token).transfer(msg.sender, amount, default_return_value=True), "transfer refused"
    return amount


@external
@view
def digest(nonce: uint256, seller_amount: uint256, traveller_amount: uint256, by_arbiter: bool) -> bytes32:
    """
    @notice What is signed (EIP-712) for a deal.
    """
    deal: Deal = self.deals[nonce]
    assert deal.buyer != empty(address), "deal is unknown"
    kind: bytes32 = HANDOVER
    if by_arbiter:
        kind = RULING
    return self._digest(kind, nonce, deal, seller_amount, traveller_amount)


@internal
def _pull(token: address, amount: uint256):
    # A token that keeps a part of each transfer would leave others' money to pay this order.
    before: uint256 = staticcall IERC20(token).balanceOf(self)
    assert extcall IERC20(token).transferFrom(
        msg.sender, self, amount, default_return_value=True
    ), "transfer refused"
    assert staticcall IERC20(token).balanceOf(self) - before == amount, "other amount arrived"


@internal
@view
def _open_deal(nonce: uint256) -> Deal:
    deal: Deal = self.deals[nonce]
    assert deal.buyer != empty(address), "deal is unknown"
    assert deal.open, "deal is closed"
    return deal


@internal
def _share(nonce: uint256, deal: Deal, seller_amount: uint256, traveller_amount: uint256, by_arbiter: bool):
    assert seller_amount <= deal.amount, "more than was funded"
    assert traveller_amount <= deal.amount - seller_amount, "more than was funded"
    buyer_amount: uint256 = deal.amount - seller_amount - traveller_amount
    self.deals[nonce].open = False
    self.balances[deal.token][deal.seller] += seller_amount
    self.balances[deal.token][deal.traveller] += traveller_amount
    self.balances[deal.token][deal.buyer] += buyer_amount
    log Settled(
        nonce=nonce,
        seller_amount=seller_amount,
        traveller_amount=traveller_amount,
        buyer_amount=buyer_amount,
        by_arbiter=by_arbiter,
    )


@internal
@view
def _digest(
    kind: bytes32, nonce: uint256, deal: Deal, seller_amount: uint256, traveller_amount: uint256
) -> bytes32:
    domain: bytes32 = keccak256(
        abi_encode(DOMAIN, keccak256("Mnbara settlement"), keccak256("1"), chain.id, self)
    )
    message: bytes32 = keccak256(
        abi_encode(kind, deal.order, deal.item_hash, nonce, seller_amount, traveller_amount)
    )
    return keccak256(concat(b"\x19\x01", domain, message))


@internal
@view
def _signer(digest: bytes32, signature: Bytes[65]) -> address:
    # Parties and arbiter are never the zero address, which is what ecrecover says of a bad signature.
    assert len(signature) == 65, "not a signature"
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    return ecrecover(digest, v, r, s)
