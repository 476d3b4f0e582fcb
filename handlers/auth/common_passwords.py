"""The first guesses of anybody who guesses: whole passwords, and words that digits at the end do not make better.

`rules` adds key rows, repetitions and look-alike letters to them, which is why neither list needs those.
"""

COMMON_STEMS = frozenset(
    """
    password passw0rd passwort password's passphrase mypassword thepassword newpassword oldpassword yourpassword
    changeme changeit letmein letmeinnow welcome welcomeback welcometo admin administrator adminadmin root rootroot
    superuser superadmin sysadmin user username default guest guestguest test tester testing testtest testuser temp
    temporary secret secretpassword topsecret private login loginlogin logmein signin enter access account master
    mastermaster mnbara mnbaramnbara marketplace traveller traveler crowdship demo demodemo sample example
    qwerty qwertz azerty qwertyuiop qwertyqwerty asdf asdfgh asdfghjkl asdfasdf zxcvbn zxcvbnm qweasd qweasdzxc
    qweqwe qwaszx zaqwsx zaqxsw abc abcd abcdef abcabc abcdefg abcdefgh aaa asd qwe qaz wsx zxc
    iloveyou iloveu iloveme iloveyousomuch loveyou lovely lovelove lovers loverboy love mylove forever foreverlove
    princess prince princesa sunshine sunflower rainbow butterfly flower flowers chocolate cookie cookies cupcake
    strawberry banana orange cherry peaches pumpkin cheese pepper ginger vanilla coffee pizza
    football baseball basketball softball soccer hockey tennis golf golfer fishing runner sports
    liverpool chelsea arsenal manchester manutd barcelona realmadrid juventus bayern yankees cowboys lakers steelers
    eagles packers rangers patriots redsox broncos dolphins
    superman batman spiderman ironman wolverine avengers captain pokemon pikachu naruto starwars startrek matrix
    minecraft fortnite roblox nintendo playstation xbox warcraft counterstrike overwatch mario zelda sonic gandalf
    dragon dragonball monkey tiger tigger eagle falcon phoenix wolf wolves lion panther leopard cheetah shadow
    buster bailey charlie cooper lucky max maggie molly rocky sadie snoopy snowball garfield mickey minnie donald
    michael michelle jennifer jessica jordan joshua matthew daniel andrew thomas robert richard william anthony
    nicole ashley amanda samantha elizabeth patricia christian christopher alexander alexandra jonathan nicholas
    benjamin brandon brandy justin austin tyler taylor hunter melissa stephanie victoria vanessa veronica
    mohamed mohammed muhammad ahmed ali fatima
    computer internet google gmail facebook instagram twitter tiktok whatsapp youtube linkedin yahoo hotmail amazon
    apple iphone ipad samsung android nokia microsoft windows office linux ubuntu debian oracle cisco server database
    mercedes ferrari porsche corvette mustang camaro chevrolet harley yamaha honda toyota hyundai volkswagen lamborghini
    jesus jesuschrist jesusislord blessed blessing godisgood godislove allah bismillah heaven angel angels angelina
    faith freedom america canada england london paris berlin madrid roma italia deutschland france spain brazil brasil
    mexico india pakistan bangladesh indonesia australia newyork california texas chicago boston dallas florida
    summer winter spring autumn january february march april june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday today tomorrow yesterday
    killer hacker hacked ninja samurai warrior knight wizard magic mystery trustno trustnoone fuckyou fuckoff fuckme
    asshole bitch bullshit pussy sexy sexygirl hottie hotstuff babygirl babyboy baby mybaby badboy badgirl goodluck
    good goodbye hello hellohello helloworld hellokitty howareyou whatever nothing something anything everything
    music guitar piano drummer rockstar metallica nirvana slipknot eminem beatles elvis
    money dollar dollars million millionaire billion bitcoin ethereum crypto silver golden diamond platinum crystal
    family mother father mommy daddy brother sister friends friend bestfriend bestfriends girlfriend boyfriend
    school student teacher college university manager business company office security
    blink bond maverick scooter thunder lightning hurricane midnight moonlight starlight universe galaxy
    """.split()  # noqa: SIM905 - words are read as lines of text
)

COMMON_PASSWORDS = frozenset(
    """
    1q2w3e4r 1qaz2wsx 1qazxsw2 zaq12wsx zaq1zaq1 q1w2e3r4 1a2b3c4d a1b2c3d4 1q2w3e4r5t qwer1234 1234qwer asdf1234
    abcd1234 1234abcd abc12345 abc123456 a1234567 a12345678 a123456789 aa123456 aa12345678 qwerty12 12345qwert q12345678
    123456789a 12345678a 123456abc 123abc123 123123qwe 123qweasd 123qwe123 qwe123qwe q1q1q1q1 pass1234 passpass
    11223344 112233445566 1122334455 12344321 123454321 1234554321 12345678910 123456781 147258369 159357258 159753456
    741852963 789456123 987654321 963852741 0987654321 1029384756 13579246 246813579 31415926 314159265 3141592653
    27182818 00112233 10203040 1020304050 102030405060 12131415 1212121212 19841984 19871987 19901990 20002000
    20202020 69696969 77777778 88888889 55667788 98765432 99887766 52013140 5201314520 woaini1314 woaini520
    jordan23 trustno1 blink182 ncc1701d thx11380 j38ifubn number1 rockyou1 monkey12 dragon12 ou812ou812 8675309jenny
    correcthorsebatterystaple correct_horse opensesame open-sesame letmein! p@$$w0rd p455w0rd pa55word pa$$word
    """.split()  # noqa: SIM905 - words are read as lines of text
)
