"""Español: los mensajes."""

WORDS = {
    "notice.planned": "{date}: trabajos en un servidor que aloja sus servicios",
    "notice.changed": "Cambio: trabajos en un servidor que aloja sus servicios, ahora el {date}",
    "notice.changed.times": "El horario es distinto del que le habíamos comunicado.",
    "notice.changed.services": "Afecta a servicios distintos de los que le habíamos comunicado.",
    "notice.changed.both": "El horario y los servicios afectados son distintos de los que le habíamos comunicado.",
    "notice.why.fans": "En uno de nuestros servidores un ventilador no gira como debe, así que trabajamos en ese "
    "servidor. Abajo verá qué supone para sus servicios.",
    "notice.why.power": "En uno de nuestros servidores una fuente de alimentación no funciona como debe, así que "
    "trabajamos en ese servidor. Abajo verá qué supone para sus servicios.",
    "notice.why.memory": "La memoria de uno de nuestros servidores registra errores, así que trabajamos en ese "
    "servidor. Abajo verá qué supone para sus servicios.",
    "notice.why.other": "Uno de nuestros servidores necesita trabajo manual. Abajo verá qué supone para sus servicios.",
    "notice.when": "Cuándo",
    "notice.services": "Sus servicios",
    "notice.expect": "Qué puede notar",
    "notice.expect.reduced-redundancy.one": "{names} se traslada en marcha: cuente con una pausa breve a la ida y "
    "otra a la vuelta, casi siempre muy inferior a un segundo. Es lo que esperamos, no una promesa; lo medimos donde "
    "hay una sonda.",
    "notice.expect.reduced-redundancy.many": "{names} se trasladan en marcha: cuente para cada uno con una pausa "
    "breve a la ida y otra a la vuelta, casi siempre muy inferior a un segundo. Es lo que esperamos, no una promesa; "
    "lo medimos donde hay una sonda.",
    "notice.expect.degraded.one": "{names} se reinicia dos veces, según lo acordado: unos segundos cada vez.",
    "notice.expect.degraded.many": "{names} se reinician dos veces, según lo acordado: unos segundos cada vez.",
    "notice.expect.outage.one": "{names} permanece apagado mientras trabajamos, según lo acordado.",
    "notice.expect.outage.many": "{names} permanecen apagados mientras trabajamos, según lo acordado.",
    "notice.redundancy": "Redundancia",
    "notice.redundancy.text": "Mientras ese servidor está ausente hay una copia menos de sus datos que de costumbre, "
    "y un fallo en otro sitio podría notarse.",
    "notice.acknowledge": "Confirme la lectura, por favor",
    "notice.acknowledge.text": "Díganos en su página que ha leído este aviso. Salvo que el trabajo no pueda esperar, "
    "solo empezaremos después, o después de haber hablado con usted.",
    "notice.do": "Qué debe hacer usted",
    "notice.do.text": "Nada. Si algo cambia, le escribiremos de nuevo.",
    "notice.done": "Los trabajos en el servidor han terminado",
    "notice.done.measured": "Los trabajos en el servidor han terminado. Pausa más larga: {figure}",
    "notice.called-off": "Los trabajos del {date} no se terminaron",
    "notice.interrupted": "Sus servicios se interrumpieron el {date}",
    "notice.interrupted.lede": "Durante nuestros trabajos en un servidor, o alrededor de ellos, uno de sus servicios "
    "estuvo sin responder más de lo debido. Esto es lo que medimos.",
    "notice.correction": "Corrección de lo que escribimos sobre el {date}",
    "notice.correction.lede": "Lo que escribimos antes era incorrecto: {why} Este mensaje lo sustituye.",
    "notice.repaired": "Reparado: el fallo no ha vuelto",
    "notice.repaired.lede": "Hemos vigilado el servidor desde nuestros trabajos y el fallo no ha vuelto. Desde hoy lo "
    "damos por reparado.",
    "notice.came-back": "El fallo ha vuelto",
    "notice.came-back.lede": "Aún no habíamos dado el fallo por resuelto y seguíamos vigilando el servidor. Se "
    "trabajará en él de nuevo; le diremos cuándo.",
    "notice.work": "Los trabajos",
    "notice.over": "Vigilado hasta el",
    "notice.incident": "{customer}: {n} interrupciones que revisar antes de decir nada",
    "notice.incident.lede": "{customer} sufrió interrupciones en torno al mantenimiento {maintenance}. Aún no se ha "
    "dicho nada al cliente, y no se hará ningún mensaje sobre trabajos inadvertidos.",
    "notice.incident.next": "Qué sigue",
    "notice.incident.next.text": "Un mensaje al cliente con estas cifras está listo como borrador. Publíquelo, o "
    "retírelo y escriba usted.",
    "notice.link": "Todo, y lo que viene: {url}",
    "notice.link.report": "El informe completo y cómo comprobarlo: {url}",
    "notice.phone": "Si algo no le parece bien, llame al {phone}.",
    "notice.noticed": "¿Ha notado algo a pesar de todo? Responda a este correo: nuestras mediciones no lo ven todo.",
    "month.name": "{month} de {year}",
    "month.title": "Trabajos entre bastidores en {month}",
    "month.lede.none": "Este mes no hicimos ningún trabajo que afectara a sus servicios.",
    "month.lede.one": "Este mes trabajamos una vez en un servidor que aloja sus servicios. Aquí está lo que se hizo y "
    "lo que se midió.",
    "month.lede.many": "Este mes trabajamos {n} veces en servidores que alojan sus servicios. Aquí está lo que se "
    "hizo y lo que se midió.",
    "month.works": "Lo que hicimos",
    "month.services": "Sus servicios este mes",
    "month.col.day": "Día",
    "month.col.what": "Por qué",
    "month.col.services": "Servicios que dejaron su servidor",
    "month.col.measured": "Medido durante",
    "month.unagreed.one": "{n} interrupción",
    "month.unagreed.many": "{n} interrupciones",
    "month.restarts.one": "{n} reinicio, según lo acordado",
    "month.restarts.many": "{n} reinicios, según lo acordado",
    "month.note": "Cada línea se apoya en un informe que le enviamos; sus cifras son las mismas. Solo medimos "
    "mientras trabajamos en un servidor que aloja sus servicios: estas cifras no dicen nada del resto del mes ni se "
    "promedian con él.",
    "month.seal": "La huella de abajo es la de la última línea del registro de lo que le dijimos. Guárdela: un "
    "registro escrito de nuevo no lleva a ella.",
}
