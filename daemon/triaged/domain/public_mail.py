"""Domains where anybody gets a mail address: they never identify a customer or a partner (row P4, INTERFACE §1).

An operator adds more with `public_mail_domains` in policy.toml.
"""

from collections.abc import Iterator

_EXACT = """
gmail.com googlemail.com
icloud.com me.com mac.com privaterelay.appleid.com
msn.com passport.com windowslive.com
aol.com aol.de aol.fr aol.it aol.co.uk aim.com verizon.net netscape.net love.com ygm.com games.com wow.com
ymail.com rocketmail.com myyahoo.com yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.cn yahoo.com.hk yahoo.com.mx
yahoo.com.my yahoo.com.ph yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.vn
yahoo.co.id yahoo.co.in yahoo.co.jp yahoo.co.kr yahoo.co.nz yahoo.co.th yahoo.co.uk yahoo.co.za
proton.me protonmail.com protonmail.ch pm.me
zoho.com zohomail.com zohomail.eu zohomail.in zohomail.com.au zohomail.jp zohomail.ca zohomail.sa zoho.eu zoho.in
mail.com email.com usa.com post.com europe.com consultant.com engineer.com techie.com myself.com writeme.com
gmx.com gmx.us gmx.co.uk gmx.eu gmx.de gmx.at gmx.ch gmx.li gmx.net gmx.org gmx.fr gmx.es gmx.it gmx.info gmx.biz
web.de email.de t-online.de magenta.de freenet.de arcor.de vodafone.de vodafonemail.de online.de kabelmail.de
mailbox.org posteo.de posteo.net posteo.eu tutanota.com tutanota.de tutamail.com tuta.com tuta.io keemail.me
ok.de unity-mail.de unitybox.de ewe.net ewetel.net netcologne.de osnanet.de alice-dsl.net alice.de o2online.de
o2mail.de
a1.net aon.at chello.at inode.at kabsi.at utanet.at bluewin.ch sunrise.ch hispeed.ch swissonline.ch vtxmail.ch
orange.fr wanadoo.fr free.fr aliceadsl.fr sfr.fr neuf.fr cegetel.net club-internet.fr 9online.fr numericable.fr
noos.fr laposte.net bbox.fr bouygtel.fr dartybox.com voila.fr caramail.com caramail.fr mailo.com netcourrier.com
libertysurf.fr tiscali.fr nordnet.fr worldonline.fr 9business.fr evc.net akeonet.com
skynet.be proximus.be telenet.be belgacom.net scarlet.be voo.be brutele.be pandora.be base.be pt.lu internet.lu
libero.it virgilio.it inwind.it iol.it blu.it giallo.it tin.it alice.it tim.it tiscali.it fastwebnet.it email.it
aruba.it vodafone.it poste.it katamail.com supereva.it
telefonica.net movistar.es terra.es ono.com ya.com orange.es vodafone.es euskaltel.net jazzfree.com
sapo.pt clix.pt netcabo.pt mail.telepac.pt iol.pt portugalmail.pt vodafone.pt meo.pt nos.pt
uol.com.br bol.com.br terra.com.br ig.com.br globo.com globomail.com r7.com oi.com.br zipmail.com.br pop.com.br
terra.com terra.cl prodigy.net.mx infinitum.com.mx arnet.com.ar fibertel.com.ar speedy.com.ar ciudad.com.ar
ziggo.nl kpnmail.nl kpnplanet.nl planet.nl home.nl hetnet.nl xs4all.nl upcmail.nl casema.nl chello.nl quicknet.nl
tele2.nl zonnet.nl versatel.nl caiway.nl solcon.nl zeelandnet.nl freeler.nl tiscali.nl wanadoo.nl onsbrabantnet.nl
btinternet.com btopenworld.com talk21.com sky.com talktalk.net tiscali.co.uk virginmedia.com virgin.net
blueyonder.co.uk
ntlworld.com plus.com plus.net plusnet.com o2.co.uk orange.net freeserve.co.uk lineone.net uwclub.net zen.co.uk
eircom.net eir.ie iol.ie
comcast.net xfinity.com att.net sbcglobal.net bellsouth.net ameritech.net pacbell.net swbell.net snet.net
prodigy.net
cox.net charter.net spectrum.net twc.com rr.com roadrunner.com earthlink.net mindspring.com juno.com netzero.net
netzero.com optonline.net optimum.net frontier.com frontiernet.net windstream.net centurylink.net centurytel.net
embarqmail.com q.com suddenlink.net mediacombb.net tds.net cableone.net wowway.com hughes.net peoplepc.com
excite.com
lycos.com hushmail.com hush.com inbox.com fastmail.com fastmail.fm fastmail.us sent.com mailfence.com runbox.com
bell.net sympatico.ca rogers.com shaw.ca telus.net videotron.ca cogeco.ca eastlink.ca sasktel.net mts.net
bigpond.com bigpond.net.au optusnet.com.au optusnet.com iinet.net.au tpg.com.au westnet.com.au internode.on.net
adam.com.au aapt.net.au dodo.com.au ozemail.com.au xtra.co.nz slingshot.co.nz paradise.net.nz orcon.net.nz
vodafone.co.nz
rediffmail.com rediff.com indiatimes.com sify.com in.com vsnl.net vsnl.com bsnl.in airtelmail.in
telkomsa.net mweb.co.za vodamail.co.za webmail.co.za iafrica.com absamail.co.za lantic.net global.co.za
docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp ymobile.ne.jp nifty.com nifty.ne.jp biglobe.ne.jp
ocn.ne.jp so-net.ne.jp plala.or.jp dion.ne.jp excite.co.jp goo.jp infoseek.jp jcom.home.ne.jp
qq.com foxmail.com vip.qq.com 163.com vip.163.com 126.com yeah.net sina.com sina.cn vip.sina.com sohu.com tom.com
21cn.com 139.com 189.cn wo.cn aliyun.com naver.com hanmail.net daum.net nate.com kakao.com
pchome.com.tw hinet.net seed.net.tw netvigator.com singnet.com.sg starhub.net.sg
mail.ru bk.ru inbox.ru list.ru internet.ru xmail.ru yandex.ru yandex.com yandex.by yandex.kz yandex.ua ya.ru
rambler.ru lenta.ru ro.ru autorambler.ru myrambler.ru ukr.net i.ua meta.ua bigmir.net
wp.pl o2.pl onet.pl onet.eu op.pl poczta.onet.pl interia.pl interia.eu poczta.fm gazeta.pl tlen.pl vp.pl autograf.pl
seznam.cz email.cz post.cz centrum.cz volny.cz atlas.cz azet.sk centrum.sk zoznam.sk post.sk pobox.sk
freemail.hu citromail.hu t-online.hu indamail.hu abv.bg mail.bg dir.bg yahoo.ro
mail.ee hot.ee online.ee inbox.lv inbox.lt one.lt delfi.lt
telia.com spray.se bredband.net comhem.se home.se tele2.se passagen.se online.no getmail.no frisurf.no
mail.dk mail.tele.dk stofanet.dk jubii.dk ofir.dk sol.dk luukku.com suomi24.fi kolumbus.fi elisanet.fi pp.inet.fi
saunalahti.fi
otenet.gr forthnet.gr hol.gr in.gr mynet.com superonline.com walla.com walla.co.il 012.net.il netvision.net.il
bezeqint.net
emirates.net.ae eim.ae hey.com duck.com skiff.com cock.li riseup.net disroot.org
mailinator.com guerrillamail.com 10minutemail.com yopmail.com yopmail.fr trashmail.com sharklasers.com temp-mail.org
"""

# Families that go by the same name under many countries: the name, then its endings.
_FAMILIES = """
outlook com fr de es it pt be at cz dk ie sk jp co.id co.th com.ar com.au com.br com.gr com.tr com.vn cl hu in kr
outlook lv my ph sa sg eu
hotmail com fr de es it nl be co.uk co.jp co.za co.th co.il co.in co.nz com.ar com.au com.br com.mx com.tr ca ch
hotmail cl cz dk fi gr hu lv lt my no ph rs se sg sk
live com fr de es it nl be at ca ch cl cn co.kr co.uk co.za co.in com.ar com.au com.mx com.my com.ph com.pt
live com.sg dk fi hk ie in jp no ru se
yahoo com fr de es it nl be at ca ch cz dk fi gr hu ie in no pl pt ro ru se
"""


def _families() -> Iterator[str]:
    for line in _FAMILIES.strip().splitlines():
        name, *endings = line.split()
        yield from (f"{name}.{ending}" for ending in endings)


DOMAINS = frozenset(_EXACT.split()) | frozenset(_families())
